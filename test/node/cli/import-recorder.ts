// Preloaded by `node --import`: writes the URL of every module that the program loaded to fd 3, one a line, at its end.
import { writeSync } from 'node:fs';
import { registerHooks } from 'node:module';

const loaded: string[] = [];
registerHooks({
  load(url, context, next) {
    loaded.push(url);
    return next(url, context);
  },
});
process.on('exit', () => writeSync(3, loaded.join('\n')));
