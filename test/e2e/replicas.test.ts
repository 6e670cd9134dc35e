// Copies of a model over daemons that share nothing but what they tell each other.
import { expect, it } from 'vitest';
import { type Daemon, ticketOf } from '../support/daemon.ts';
import { daemonsOfTest } from '../support/daemons-of-test.ts';
import { until } from '../support/wait.ts';

const start = daemonsOfTest();

/** How the model stands on a daemon, as that says; undefined = not in memory. */
async function stateOn(daemon: Daemon): Promise<string | undefined> {
  const { models } = JSON.parse((await daemon.weft('ps', '--json')).stdout) as {
    models: { readonly id: string; readonly state: string }[];
  };
  return models.find(({ id }) => id.includes('MiniLM'))?.state;
}

it('one of two loads the model that shall be in memory once, and the other when that one is killed', async () => {
  const args = ['--replicas', 'minilm=1..1'];
  const first = await start();
  const second = await start({ args: [...args, '--join', await ticketOf(first)] });
  const third = await start({ args: [...args, '--join', await ticketOf(first)] });
  const both = [second, third];
  const [holder, other] = await until('one copy', async () => {
    const states = await Promise.all(both.map(stateOn));
    if (states.filter((state) => state !== undefined).length !== 1) return undefined;
    const at = states.indexOf('loaded');
    return at < 0 ? undefined : ([both[at], both[1 - at]] as [Daemon, Daemon]);
  });
  holder.kill('SIGKILL');
  await until('a copy on the other', async () => ((await stateOn(other)) === 'loaded' ? true : undefined));
  expect(await stateOn(first)).toBeUndefined();
});
