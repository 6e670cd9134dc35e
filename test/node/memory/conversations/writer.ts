// Run by killed.test.ts: writes conversations without end, and says what was kept, and what it will delete. It has no end.
import { randomUUID } from 'node:crypto';
import { writeSync } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import { systemClock } from '../../../../node/core/clock.ts';
import type { AnswerEvents } from '../../../../node/core/coordinator.ts';
import { silentLog } from '../../../../node/core/log.ts';
import { KeptConversations } from '../../../../node/memory/conversations/conversations.ts';

const [path = ''] = process.argv.slice(2);
const events: AnswerEvents[] = [];
const unused = (): undefined => undefined;
const conversations = new KeptConversations(
  {
    clock: systemClock,
    log: silentLog,
    coordinator: {
      models: () => [],
      // Each answer is written until the process is killed, or until it is deleted.
      chat: (_request, { signal }, said) => {
        events.push(said);
        return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
      },
    },
    traces: { begin: ({ requestId }) => ({ requestId, end: unused }) as never },
    events: { publish: unused },
    nameOf: unused,
    newId: (prefix) => prefix + randomUUID(),
  },
  { path },
);
conversations.open();
for (let round = 0; ; round += 1) {
  const { id } = conversations.create({ title: `Round ${round}` });
  const content = `Message ${round} ${'x'.repeat((round * 997) % 20_000)}`;
  conversations.send(id, { content, model: 'm' }, { requestId: 'req_x' });
  writeSync(1, `${JSON.stringify({ id, content })}\n`);
  for (const { onDelta } of events.slice(-3)) onDelta({ choice: 0, text: 'word '.repeat(50) });
  if (round % 3 === 2) {
    writeSync(1, `${JSON.stringify({ id, deleted: true })}\n`);
    conversations.delete(id);
  }
  await turn();
}
