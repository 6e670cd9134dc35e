// What `weft run` does with a model that no node offers: it can be brought here, once the person at the terminal says so.
import { WeftError } from '../../protocol/errors.ts';
import { confirm } from './ask.ts';
import type { Client } from './client.ts';
import { pullModel } from './commands/pull.ts';
import type { ClientOptions, CommandContext } from './context.ts';
import { asArgument, printable } from './format.ts';
import { hubIdOf, requestName } from './model-argument.ts';
import { installedModel } from './model-facts.ts';
import { pullSummary } from './pull-summary.ts';

export interface OfferInit {
  readonly client: Client;
  /** As it was asked for. */
  readonly name: string;
  /** `model_not_found`, as the daemon said it. */
  readonly failure: WeftError;
  readonly options: ClientOptions & { readonly json?: true };
  readonly context: CommandContext;
}

/**
 * Asks whether to pull it, and does.
 * @returns the name under which it can be asked for now
 * @throws WeftError the failure, with what to do, where nobody can be asked or the answer is no; what the pull fails with
 */
export async function offerPull({ client, name, failure, options, context }: OfferInit): Promise<string> {
  if (hubIdOf(name) === undefined) throw failure;
  // `hf.co/owner/name:q4` may be here: requests know it by its id, and by the forms that are listed.
  const installed = await installedModel(client, name, context);
  if (installed?.offered === true && installed.id !== name) {
    const askedAs = requestName(name, installed.id);
    return askedAs === name ? installed.id : askedAs;
  }
  const { stdin, stderr } = context;
  const canAsk = stdin.isTTY === true && options.json !== true;
  if (!canAsk || !(await confirm(context, `No node offers ${printable(name)} now. Pull it?`))) {
    const remedy = `Run \`weft pull ${asArgument(name)}\` first.`;
    throw new WeftError({ code: failure.code, message: failure.message, remedy }, { cause: failure });
  }
  const answer = await pullModel({ client, name, options, context });
  stderr.write(pullSummary(answer));
  return requestName(name, answer.id);
}
