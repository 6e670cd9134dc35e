// `weft revoke NODE|NAME`: takes a member out of the mesh. A revocation wins over everything that admits the member.
import type { Command } from 'commander';
import type { RevokeAnswer } from '../../../protocol/api/control.ts';
import { confirm } from '../ask.ts';
import { connect } from '../connect.ts';
import { type CommandContext, printJson, type ReadingOptions } from '../context.ts';
import { printable, shortNode } from '../format.ts';
import { readingOptions } from '../reading-command.ts';

interface Options extends ReadingOptions {
  readonly reason?: string;
  readonly yes?: true;
}

export function define(command: Command, context: CommandContext): void {
  readingOptions(command)
    .argument('<member>', 'its name, or its node id where two have one name; `weft members` lists them')
    .option('--reason <text>', 'why, for the other admins', '')
    .option('-y, --yes', 'do not ask, at a terminal either')
    .action(async (member: string, options: Options) => {
      const { client } = await connect(context, options);
      const question = `Take ${printable(member)} out of the mesh, for good?`;
      if (!options.yes && context.stdin.isTTY && !(await confirm(context, question))) {
        return void context.stderr.write('Nothing was changed.\n');
      }
      const { body } = await client.post<RevokeAnswer>(
        '/api/v1/members/revoke',
        { member, reason: options.reason ?? '' },
        context,
      );
      if (options.json) return printJson(context, body);
      const { name, node } = body.revoked;
      context.stdout.write(`Revoked ${printable(name)} (${shortNode(printable(node))}).\n`);
    });
}
