import { describe, expect, it } from 'vitest';
import { ApiError } from '../../../../desktop/ui/data/client.ts';
import type { NodeEvent } from '../../../../desktop/ui/data/contract.ts';
import {
  type ConnectionState,
  EventConnection,
  type EventConnectionComponents,
} from '../../../../desktop/ui/data/event-connection.ts';
import { RECONNECT_MS_MAX, SILENCE_MS_MAX } from '../../../../desktop/ui/data/limits.ts';

type Opening = Parameters<EventConnectionComponents['open']>[0] & {
  readonly end: () => void;
  readonly fail: (error: unknown) => void;
};

/** A connection whose streams and timers the test moves by hand. */
function rig() {
  const openings: Opening[] = [];
  const timers = new Map<number, { ms: number; callback: () => void }>();
  const states: ConnectionState[] = [];
  const events: NodeEvent[] = [];
  let nextTimer = 0;
  const connection = new EventConnection(
    {
      open: (init) => {
        const { promise, resolve, reject } = Promise.withResolvers<void>();
        init.signal.addEventListener('abort', () => reject(new DOMException('aborted', 'AbortError')));
        openings.push({ ...init, end: resolve, fail: reject });
        return promise;
      },
      after: (ms, callback) => {
        const id = nextTimer++;
        timers.set(id, { ms, callback });
        return () => void timers.delete(id);
      },
      random: () => 1,
    },
    { onEvents: (given) => events.push(...given), onState: (state) => states.push(state) },
  );
  const settle = async (): Promise<void> => {
    for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
  };
  /** The pause that is under way, without the watch for silence. */
  const pauses = (): number[] => [...timers.values()].map(({ ms }) => ms).filter((ms) => ms !== SILENCE_MS_MAX);
  const fire = async (wanted: (ms: number) => boolean): Promise<void> => {
    for (const [id, { ms, callback }] of timers) {
      if (!wanted(ms)) continue;
      timers.delete(id);
      callback();
    }
    await settle();
  };
  return { connection, openings, states, events, settle, pauses, fire, timers };
}

const request = (id: string): { event: string; data: string; id: string } => ({
  event: 'request',
  id,
  data: JSON.stringify({ id, type: 'request', atMs: 1, data: { requestId: 'r', phase: 'begun', name: 'chat' } }),
});

describe('EventConnection', () => {
  it('comes back behind the last event that it saw', async () => {
    const { connection, openings, states, events, settle, fire } = rig();
    connection.start(['request']);
    openings[0]?.onOpen();
    openings[0]?.onEvents([request('run-5')], 'run-6');
    openings[0]?.fail(new ApiError({ status: 0, code: 'unreachable', message: '' }));
    await settle();
    await fire((ms) => ms !== SILENCE_MS_MAX);
    expect(events.map(({ id }) => id)).toEqual(['run-5']);
    expect(openings[1]?.lastId).toBe('run-6');
    expect(states).toEqual(['live', 'reconnecting']);
    openings[1]?.onEvents([], 'run-6');
    expect(states.at(-1)).toBe('live');
  });

  it('opens the next stream at once when one has ended in good order', async () => {
    const { connection, openings, states, settle, pauses } = rig();
    connection.start(['request']);
    openings[0]?.onOpen();
    openings[0]?.onEvents([], 'run-1');
    openings[0]?.end();
    await settle();
    expect(openings).toHaveLength(2);
    expect(pauses()).toEqual([]);
    expect(states).toEqual(['live']);
  });

  it('pauses between streams that end without a word', async () => {
    const { connection, openings, settle, pauses } = rig();
    connection.start(['request']);
    openings[0]?.onOpen();
    openings[0]?.end();
    await settle();
    openings[1]?.onOpen();
    openings[1]?.end();
    await settle();
    expect(openings).toHaveLength(2);
    expect(pauses()).toHaveLength(1);
  });

  it('waits longer after each failure, up to a ceiling, and says that the node is out of reach', async () => {
    const { connection, openings, states, settle, pauses, fire } = rig();
    connection.start(['request']);
    const waited: number[] = [];
    for (let attempt = 0; attempt < 8; attempt += 1) {
      openings.at(-1)?.fail(new ApiError({ status: 0, code: 'unreachable', message: '' }));
      await settle();
      waited.push(...pauses());
      await fire((ms) => ms !== SILENCE_MS_MAX);
    }
    expect(waited).toEqual([500, 1_000, 2_000, 4_000, 8_000, RECONNECT_MS_MAX, RECONNECT_MS_MAX, RECONNECT_MS_MAX]);
    expect(states).toEqual(['reconnecting', 'offline']);
    openings.at(-1)?.fail(new ApiError({ status: 0, code: 'unreachable', message: '' }));
    await settle();
    const before = openings.length;
    connection.retryNow();
    await settle();
    expect(openings).toHaveLength(before + 1);
  });

  it('gives up a connection that has gone silent', async () => {
    const { connection, openings, settle, fire } = rig();
    connection.start(['request']);
    openings[0]?.onOpen();
    openings[0]?.onEvents([], 'run-1');
    await fire((ms) => ms === SILENCE_MS_MAX);
    await settle();
    expect(openings[0]?.signal.aborted).toBe(true);
    expect(openings[1]?.lastId).toBe('run-1');
  });

  it('asks an older node, which refuses kinds that it does not know, for all that it has', async () => {
    const { connection, openings, settle } = rig();
    connection.start(['request', 'pulse']);
    expect(openings[0]?.types).toEqual(['request', 'pulse']);
    openings[0]?.fail(new ApiError({ status: 400, code: 'bad_request', message: '' }));
    await settle();
    expect(openings[1]?.types).toBeUndefined();
  });

  it('ends when the node no longer knows the page, and begins again when it is started', async () => {
    const { connection, openings, states, settle } = rig();
    connection.start(['request']);
    openings[0]?.fail(new ApiError({ status: 401, code: 'unauthorized', message: '' }));
    await settle();
    expect(states).toEqual(['signed-out']);
    expect(openings).toHaveLength(1);
    connection.start(['request']);
    expect(openings).toHaveLength(2);
  });

  it('stays one connection when it is stopped and started again at once', async () => {
    const { connection, openings, settle, pauses } = rig();
    connection.start(['request']);
    connection.stop();
    connection.start(['request']);
    await settle();
    expect(openings.filter(({ signal }) => !signal.aborted)).toHaveLength(1);
    expect(openings).toHaveLength(2);
    expect(pauses()).toEqual([]);
  });

  it('opens anew for other kinds of events', async () => {
    const { connection, openings, settle } = rig();
    connection.start(['request']);
    openings[0]?.onOpen();
    openings[0]?.onEvents([], 'run-3');
    connection.retype(['request', 'log']);
    await settle();
    expect(openings[1]).toMatchObject({ types: ['request', 'log'], lastId: 'run-3' });
  });

  it('passes over what it cannot read', async () => {
    const { connection, openings, events } = rig();
    connection.start(['request']);
    openings[0]?.onEvents(
      [{ event: 'x', data: 'no json', id: '1' }, { event: 'x', data: '{"type":1}', id: '2' }, request('3')],
      '3',
    );
    expect(events.map(({ id }) => id)).toEqual(['3']);
  });
});
