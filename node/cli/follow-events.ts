// The daemon's event stream for as long as somebody looks, over lost connections and restarts. For `weft logs` and `top`.
import type { ControlEvent } from '../../protocol/api/control.ts';
import { WeftError } from '../../protocol/errors.ts';
import { delay, systemClock } from '../core/clock.ts';
import type { Client } from './client.ts';
import { RECONNECT_MS, RECONNECT_OTHER_MS, RECONNECTS_MAX } from './limits.ts';

export interface FollowInit {
  /** Finds the daemon, anew after each loss: a later run has another port. */
  readonly connect: () => Promise<{ readonly client: Client }>;
  /** Another node, whose events come through the daemon. */
  readonly node?: string | undefined;
  readonly types: readonly ControlEvent['type'][];
  readonly signal: AbortSignal;
  /** Is awaited when the stream has begun, before its first event is read; again after each loss. */
  readonly onOpen?: (client: Client) => Promise<void>;
}

/**
 * Events as they happen, from now on. Those that happen while the connection is lost follow when it is back, as far as
 * the daemon still has them.
 * @throws WeftError `daemon_not_running` when the daemon stays away; `cancelled` after the signal; what it refuses
 */
export async function* followEvents(init: FollowInit): AsyncGenerator<ControlEvent, never> {
  const { connect, node, types, signal, onOpen } = init;
  const path = `${apiOf(node)}/events?types=${types.join(',')}`;
  let lastEventId: string | undefined;
  let wasOpen = false; // a daemon that was never there is not awaited
  for (let losses = 0; ; losses += 1) {
    try {
      const { client } = await connect();
      const { events } = await client.watch(path, { signal, lastEventId });
      wasOpen = true;
      await onOpen?.(client);
      for await (const { data, id } of events) {
        losses = 0;
        lastEventId = id ?? lastEventId;
        yield parseEvent(data);
      }
    } catch (error) {
      const isLoss = error instanceof WeftError && LOSSES.has(error.code);
      if (!isLoss || !wasOpen || losses >= RECONNECTS_MAX) throw error;
    }
    await delay(systemClock, node === undefined ? RECONNECT_MS : RECONNECT_OTHER_MS, signal).catch(() => {
      throw new WeftError({ code: 'cancelled', message: 'Nobody looks any more.' });
    });
  }
}

/** The daemon is away; or the node behind it is. */
const LOSSES: ReadonlySet<string> = new Set(['daemon_not_running', 'peer_lost', 'peer_unreachable', 'peer_timeout']);

/** Where the control API of a node is: this daemon's own, or another's through it. */
export const apiOf = (node: string | undefined): string =>
  node === undefined ? '/api/v1' : `/api/v1/nodes/${encodeURIComponent(node)}`;

function parseEvent(data: string): ControlEvent {
  try {
    return JSON.parse(data) as ControlEvent;
  } catch (error) {
    throw new WeftError(
      { code: 'frame_invalid', message: 'The node sent an event that is not JSON.' },
      { cause: error },
    );
  }
}
