// `weft status`: who this node is, where it answers, and what it offers.
import type { Command } from 'commander';
import type { StatusAnswer } from '../../../protocol/api/control.ts';
import type { CommandContext } from '../context.ts';
import { factSheet, formatBytes, formatMs } from '../format.ts';
import { defineReading } from '../reading-command.ts';

export function define(command: Command, context: CommandContext): void {
  defineReading<StatusAnswer>(command, context, {
    path: '/api/v1/status',
    print: (status, { keyFile }) => void context.stdout.write(factSheet(describe(status, keyFile))),
    toJson: (status, { keyFile }) => ({ ...status, apiKeyFile: keyFile }),
  });
}

function describe(status: StatusAnswer, keyFile: string | undefined): [string, string][] {
  const { hardware, offer } = status;
  return [
    ['Node', `${status.name} (${status.node})`],
    ['Mesh', `${status.mesh.slice(0, 16)}… as ${status.role}, ${status.members} member(s)`],
    ['Peers', `${status.peersConnected} connected`],
    ['API', status.api],
    ['API key', keyFile ?? 'as set by WEFT_API_KEY'],
    ['Swarm', status.addresses.length === 0 ? '-' : status.addresses.join(', ')],
    ['Offers', typeof offer === 'string' ? offer : offer.join(', ')],
    ['Hardware', `${hardware.cpuCount} × ${hardware.cpuModel}, ${formatBytes(hardware.memoryBytes)}`],
    ...hardware.devices
      .filter(({ kind }) => kind !== 'cpu')
      .map(({ kind, name, memoryBytes }): [string, string] => [
        'Device',
        `${name} (${kind})${memoryBytes > 0 ? `, ${formatBytes(memoryBytes)}` : ''}`,
      ]),
    ['Requests', `${status.requestsInFlight} running`],
    ['Up for', formatMs(status.uptimeSeconds * 1_000)],
    ['Data', status.home],
    ['Version', status.version],
  ];
}
