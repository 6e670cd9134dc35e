// A node in miniature, to be killed: gives its prep process work for many seconds, and prints that process's id.
import { systemClock } from '../../../node/core/clock.ts';
import { silentLog } from '../../../node/core/log.ts';
import { PrepProcess } from '../../../node/prep/prep-process.ts';

const [entry, tokenizerFolder] = process.argv.slice(2);
if (entry === undefined || tokenizerFolder === undefined) throw new Error('usage: parent.ts ENTRY TOKENIZER_FOLDER');
const prep = new PrepProcess({ clock: systemClock, log: silentLog }, { entry, nodePath: process.execPath });
const { signal } = new AbortController();
// Once it has answered it runs, and reads its pipe.
await prep.tokenize(tokenizerFolder, 'ready', { tokensMax: 10, specialTokens: false, signal });
const slow = prep.tokenize(tokenizerFolder, ' '.repeat(1 << 20), { tokensMax: 10, specialTokens: false, signal });
console.log(prep.pid);
await slow;
