// Layer `clock`: this machine's wall clock against signed statements and against the peers' clocks. Only tickets and
// tokens go by it, and they fail without a word of the clock when it is wrong.
import type { Clock } from '../../core/clock.ts';
import type { PeerRecord } from '../../core/mesh.ts';
import { readStatement } from '../../trust/statements.ts';
import { type Check, type Finding, failed, ok, skipped, warning } from './check.ts';
import { CLOCK_SKEW_MS_MAX, CLOCK_SKEW_MS_USUAL, EARLIEST_WALL_MS, QUICK_MS_MAX } from './limits.ts';

/** A peer's clock minus this machine's, and how far that may be off. Milliseconds. */
export interface ClockOffset {
  readonly offsetMs: number;
  readonly uncertaintyMs: number;
}

/** What is known of a peer's clock. */
export interface PeerClock {
  readonly name: string;
  /** Milliseconds since 1970 at its start, by its own clock. */
  readonly startedMs: number;
  /** Undefined where the peer doesn't tell its time. */
  readonly offset: ClockOffset | undefined;
}

export interface ClockComponents {
  readonly clock: Clock;
  readonly mesh: { peers(): readonly PeerRecord[] };
  readonly statements: () => readonly Uint8Array[];
  /** Asks a connected peer for its wall clock, in milliseconds since 1970; undefined where it doesn't tell. */
  readonly wallOf?: ((node: string, signal: AbortSignal) => Promise<number | undefined>) | undefined;
}

const REMEDY = 'Let the system set its clock by the network (Linux: `timedatectl set-ntp true`).';

export function clockChecks(components: ClockComponents): readonly Check[] {
  const { clock, statements } = components;
  const common = { layer: 'clock', deadlineMs: QUICK_MS_MAX, overdueRemedy: 'Try again.' } as const;
  return [
    {
      ...common,
      name: 'this machine',
      run: async () => [judgeOwnClock(clock.wallNow(), newestStatement(statements()))],
    },
    {
      ...common,
      name: 'peers',
      run: async (signal) => judgePeerClocks(clock.wallNow(), await peerClocks(components, signal)),
    },
  ];
}

/** When the newest statement of the member list was signed, by its signer's clock. */
function newestStatement(statements: readonly Uint8Array[]): number {
  const times = statements.flatMap((encoded) => readStatement(encoded)?.issuedAtMs ?? []);
  return times.reduce((newest, time) => Math.max(newest, time), 0);
}

/** A clock that is behind what was signed already, or behind Weft itself, is wrong whoever else is right. */
export function judgeOwnClock(wallMs: number, newestStatementMs: number): Finding {
  const name = 'this machine';
  const now = shownTime(wallMs);
  if (wallMs < EARLIEST_WALL_MS) return failed(name, `The clock says ${now}, which can't be.`, REMEDY);
  const behindMs = newestStatementMs - wallMs;
  if (behindMs <= CLOCK_SKEW_MS_MAX) return ok(name, `The clock says ${now}`);
  const detail = `The clock says ${now}, and a statement of this mesh was signed ${shownSpan(behindMs)} later: this clock is behind, or its signer's was ahead.`;
  return failed(name, detail, REMEDY);
}

async function peerClocks(components: ClockComponents, signal: AbortSignal): Promise<readonly PeerClock[]> {
  const { mesh, clock, wallOf } = components;
  const connected = mesh.peers().filter(({ state }) => state === 'connected');
  return Promise.all(
    connected.map(async ({ advert: { node, name, incarnation } }): Promise<PeerClock> => {
      const [sentMs, sentWallMs] = [clock.now(), clock.wallNow()];
      const wallMs = await wallOf?.(node, signal).catch(() => undefined); // Its link is the peer layer's concern.
      const uncertaintyMs = (clock.now() - sentMs) / 2;
      const offset =
        wallMs === undefined ? undefined : { offsetMs: wallMs - sentWallMs - uncertaintyMs, uncertaintyMs };
      return { name, startedMs: incarnation, offset };
    }),
  );
}

/**
 * What the peers' clocks say. Where a peer doesn't tell its time, the start that it publishes is a bound: nobody starts
 * in the future.
 */
export function judgePeerClocks(wallMs: number, peers: readonly PeerClock[]): readonly Finding[] {
  if (peers.length === 0) return [skipped('peers', 'No peer is connected whose clock could be compared.')];
  const offsets = peers.map((peer) => ({ name: peer.name, ...offsetOf(wallMs, peer) }));
  const wrong = offsets.filter(({ offsetMs }) => Math.abs(offsetMs) > CLOCK_SKEW_MS_MAX);
  // Several that agree with each other, and not with this machine: it is this machine.
  if (wrong.length > 1 && wrong.length === offsets.length && sameSide(wrong)) {
    const least = wrong.reduce((a, b) => (Math.abs(a.offsetMs) < Math.abs(b.offsetMs) ? a : b));
    return [
      failed(
        'peers',
        `This machine's clock is ${described(-least.offsetMs)} against all ${wrong.length} peers.`,
        REMEDY,
      ),
    ];
  }
  return offsets.map(({ name, offsetMs, isKnown }) => judgePeerClock(name, offsetMs, isKnown));
}

function judgePeerClock(name: string, offsetMs: number, isKnown: boolean): Finding {
  const detail = `Its clock is ${described(offsetMs)} against this machine's`;
  const there = `On the machine whose clock is wrong: ${REMEDY[0]?.toLowerCase()}${REMEDY.slice(1)}`;
  if (Math.abs(offsetMs) > CLOCK_SKEW_MS_MAX) return failed(name, `${detail}: tickets and tokens fail.`, there);
  if (!isKnown) return skipped(name, 'It does not tell its time; it did not start in the future');
  if (Math.abs(offsetMs) > CLOCK_SKEW_MS_USUAL) return warning(name, `${detail}.`, there);
  return ok(name, `Its clock agrees within ${shownSpan(Math.abs(offsetMs))}`);
}

/** The least difference that is certain: what may be the way's own time doesn't count. */
function offsetOf(
  wallMs: number,
  { startedMs, offset }: PeerClock,
): { readonly offsetMs: number; readonly isKnown: boolean } {
  if (offset === undefined) return { offsetMs: Math.max(0, startedMs - wallMs), isKnown: false };
  const certainMs = Math.max(0, Math.abs(offset.offsetMs) - offset.uncertaintyMs);
  return { offsetMs: Math.sign(offset.offsetMs) * certainMs, isKnown: true };
}

const sameSide = (offsets: readonly { readonly offsetMs: number }[]): boolean =>
  new Set(offsets.map(({ offsetMs }) => Math.sign(offsetMs))).size === 1;

const described = (offsetMs: number): string =>
  offsetMs < 0 ? `${shownSpan(-offsetMs)} behind` : `${shownSpan(offsetMs)} ahead`;

function shownSpan(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 120_000) return `${Math.round(ms / 1_000)} s`;
  if (ms < 7_200_000) return `${Math.round(ms / 60_000)} min`;
  return ms < 172_800_000 ? `${Math.round(ms / 3_600_000)} h` : `${Math.round(ms / 86_400_000)} days`;
}

/** Dates beyond what JavaScript can hold come from a broken clock, too. */
function shownTime(ms: number): string {
  return Math.abs(ms) <= 8.64e15 ? `${new Date(ms).toISOString().slice(0, 19)}Z` : 'a date out of bounds';
}
