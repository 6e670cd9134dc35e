// `weft status`: who this node is, where it answers, and what it offers.
import type { Command } from 'commander';
import type { StatusAnswer } from '../../../protocol/api/control.ts';
import { connect } from '../connect.ts';
import { type ClientOptions, type CommandContext, printJson } from '../context.ts';
import { formatBytes, formatMs, printable } from '../format.ts';

interface Options extends ClientOptions {
  readonly json?: true;
}

export function define(command: Command, context: CommandContext): void {
  command
    .option('--json', 'print one JSON object')
    .option('--home <folder>', 'data folder of the daemon to ask (WEFT_HOME)')
    .action(async (options: Options) => {
      const { client, keyFile } = await connect(context, options);
      const status = await client.get<StatusAnswer>('/api/v1/status', context);
      if (options.json) return printJson(context, { ...status, apiKeyFile: keyFile });
      const lines = describe(status, keyFile);
      const width = Math.max(...lines.map(([label]) => label.length)) + 2;
      for (const [label, value] of lines) context.stdout.write(`${label.padEnd(width)}${printable(value)}\n`);
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
    ['Requests', `${status.requestsInFlight} running`],
    ['Up for', formatMs(status.uptimeSeconds * 1_000)],
    ['Data', status.home],
    ['Version', status.version],
  ];
}
