// What the doctor says of the conversations' file.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { conversationChecks } from '../../../../node/app/doctor/conversations.ts';
import { temporaryFolder } from '../../config/temporary-folder.ts';
import { never } from '../../mesh/support.ts';

const look = async (home: string) => (await conversationChecks({ home })[0]?.run(never))?.[0];

it('names a file that was found damaged, and says what to do', async () => {
  const home = temporaryFolder();
  expect(await look(home)).toMatchObject({ status: 'skipped' });
  writeFileSync(join(home, 'conversations.sqlite'), '');
  expect(await look(home)).toMatchObject({ status: 'ok' });
  const damaged = 'conversations.damaged-20261122T051605123Z.sqlite';
  writeFileSync(join(home, damaged), '');
  writeFileSync(join(home, `${damaged}-wal`), '');
  expect(await look(home)).toMatchObject({
    status: 'warning',
    detail: `${damaged} in ${home} was found damaged and set aside.`,
    remedy: expect.stringContaining(`sqlite3 ${damaged} .recover`),
  });
});

it('leaves a folder that is gone to others', async () => {
  expect(await look(join(temporaryFolder(), 'gone'))).toMatchObject({ status: 'skipped' });
});
