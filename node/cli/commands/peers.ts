// `weft peers`: the other nodes of the mesh, as this node knows them.
import type { Command } from 'commander';
import type { PeersAnswer } from '../../../protocol/api/control.ts';
import type { CommandContext } from '../context.ts';
import { type Column, formatBytes, formatMs, orDash, shortNode, table } from '../format.ts';
import { defineReading } from '../reading-command.ts';
import { withheldWords } from '../withheld-words.ts';

type PeerStatus = PeersAnswer['peers'][number];
type Hardware = NonNullable<PeerStatus['hardware']>;

export function define(command: Command, context: CommandContext): void {
  defineReading<PeersAnswer>(command, context, {
    path: '/api/v1/peers',
    print: ({ peers }) => {
      if (peers.length > 0) context.stdout.write(table(COLUMNS, peers));
      else context.stderr.write(ALONE);
    },
  });
}

const ALONE = 'This node is alone. `weft invite` prints a ticket; `weft join TICKET` uses it on the next machine.\n';

const COLUMNS: readonly Column<PeerStatus>[] = [
  { title: 'NAME', value: (peer) => peer.name },
  { title: 'NODE', value: (peer) => shortNode(peer.node) },
  { title: 'STATE', value: describeState },
  { title: 'HARDWARE', value: (peer) => orDash(peer.hardware, describeHardware) },
  { title: 'MODELS', value: describeModels },
  { title: 'LOAD', value: (peer) => orDash(peer.load, (load) => `${load.requestsInFlight} running`) },
  { title: 'RTT', value: (peer) => orDash(peer.link?.rttMs, formatMs), align: 'right' },
  {
    title: 'GOODPUT',
    value: (peer) => orDash(peer.link?.goodputBytesPerSecond, (rate) => `${formatBytes(rate)}/s`),
    align: 'right',
  },
];

function describeState(peer: PeerStatus): string {
  const { state, heardAgoMs } = peer;
  const known = state === 'connected' || heardAgoMs === undefined ? state : `${state} (${formatMs(heardAgoMs)})`;
  return [known, ...withheldWords(peer)].join(', ');
}

function describeHardware({ arch, platform, cpuCount, memoryBytes, devices }: Hardware): string {
  const accelerators = devices.filter(({ kind }) => kind !== 'cpu').map(({ name }) => name);
  return [`${cpuCount} × ${arch} ${platform}`, formatBytes(memoryBytes), ...accelerators].join(', ');
}

function describeModels({ offers }: PeerStatus): string {
  return offers.length === 0 ? '-' : offers.map(({ aliases, model }) => aliases[0] ?? model.id).join(', ');
}
