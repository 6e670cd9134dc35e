// `weft members`: who belongs to the mesh, and who of them is reached now.
import type { Command } from 'commander';
import type { MembersAnswer, PeersAnswer, StatusAnswer } from '../../../protocol/api/control.ts';
import { connect } from '../connect.ts';
import { type CommandContext, printJson, type ReadingOptions } from '../context.ts';
import { isPlainWord, table } from '../format.ts';
import { readingOptions } from '../reading-command.ts';

interface Options extends ReadingOptions {
  readonly names?: true;
}

export function define(command: Command, context: CommandContext): void {
  readingOptions(command)
    .option('--names', 'print names alone, one a line, for scripts')
    .action(async (options: Options) => {
      const { client } = await connect(context, options);
      const answer = await client.get<MembersAnswer>('/api/v1/members', context);
      const { members } = answer;
      if (options.json) return printJson(context, answer);
      if (options.names) {
        const names = members.map(({ name }) => name).filter(isPlainWord);
        return void context.stdout.write(names.map((name) => `${name}\n`).join(''));
      }
      const [status, { peers }] = await Promise.all([
        client.get<StatusAnswer>('/api/v1/status', context),
        client.get<PeersAnswer>('/api/v1/peers', context),
      ]);
      const states = new Map([...peers.map(({ node, state }) => [node, state] as const), [status.node, 'here']]);
      context.stdout.write(
        table(
          [
            { title: 'NAME', value: ({ name }) => name },
            { title: 'ROLE', value: ({ role }) => role },
            { title: 'STATE', value: ({ node }) => states.get(node) ?? '-' },
            // Whole, for `weft revoke`: two members may have one name.
            { title: 'NODE', value: ({ node }) => node },
          ],
          members,
        ),
      );
    });
}
