// What stays here, and where a graph is cut: `--raw` and `--cut` of the commands that send work, as headers of the request.
import { type Command, InvalidArgumentError, Option } from 'commander';
import {
  CUT_HEADER,
  type CutWords,
  formatCut,
  formatRaw,
  parseCut,
  parseRaw,
  RAW_HEADER,
  type RawLocal,
} from '../../protocol/api/locality.ts';

export interface LocalityOptions {
  readonly raw?: RawLocal;
  readonly cut?: CutWords;
}

/** Gives a command for tensors both options. */
export function localityOptions(command: Command): Command {
  return command
    .addOption(
      new Option(
        '--cut <place>',
        'where its graph is cut: auto, never, or cut points by commas, each a number of `weft show --cuts` or a tensor',
      ).argParser(cutOf),
    )
    .addOption(
      new Option('--raw <local>', 'local: no input leaves this node; local:NAME,NAME: these do not').argParser(rawOf),
    );
}

/** Gives a command for texts the one that they have. */
export function rawOption(command: Command): Command {
  return command.addOption(
    new Option('--raw <local>', 'local: all of it is done on this node, or it is refused').argParser(wholeOf),
  );
}

/** The headers of a request. */
export function localityHeaders({ raw, cut }: LocalityOptions): Readonly<Record<string, string>> {
  return {
    ...(raw !== undefined && { [RAW_HEADER]: formatRaw(raw) }),
    ...(cut !== undefined && { [CUT_HEADER]: formatCut(cut) }),
  };
}

/** Cut points alone. */
export type Places = readonly (number | string)[];

/** For an option that takes places and nothing else. @throws InvalidArgumentError */
export function parsePlaces(text: string): Places {
  const cut = cutOf(text);
  if (typeof cut === 'object') return cut.at;
  throw new InvalidArgumentError('Write cut points by commas, such as 3 or /encoder/Add_output_0.');
}

function cutOf(text: string): CutWords {
  const cut = parseCut(text);
  if (cut !== undefined) return cut;
  throw new InvalidArgumentError('Write auto, never, or cut points by commas, such as 3 or /encoder/Add_output_0.');
}

function rawOf(text: string): RawLocal {
  const raw = parseRaw(text);
  if (raw !== undefined) return raw;
  throw new InvalidArgumentError('Write local, or local: and names of inputs by commas.');
}

function wholeOf(text: string): RawLocal {
  if (text === 'local') return true;
  throw new InvalidArgumentError('Write local: a text has no inputs that could be named.');
}
