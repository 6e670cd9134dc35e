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
  readonly on?: readonly string[];
  readonly compress?: true;
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
      new Option('--on <nodes>', 'nodes that may have a part, by name, with commas (default: any)').argParser(nodesOf),
    )
    .option(
      '--compress',
      'between parts: tensors cross as 8-bit blocks where that saves time; `weft trace` shows what is lost',
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
export function localityHeaders({ raw, cut, on, compress }: LocalityOptions): Readonly<Record<string, string>> {
  const way = { ...(on !== undefined && { on }), ...(compress === true && { compress }) };
  const isPlain = cut === 'never' || Object.keys(way).length === 0;
  const wish = isPlain ? cut : { ...(typeof cut === 'object' && cut), ...way };
  return {
    ...(raw !== undefined && { [RAW_HEADER]: formatRaw(raw) }),
    ...(wish !== undefined && { [CUT_HEADER]: formatCut(wish) }),
  };
}

/** Cut points alone. */
export type Places = readonly (number | string)[];

/** For an option that takes places and nothing else. @throws InvalidArgumentError */
export function parsePlaces(text: string): Places {
  const cut = cutOf(text);
  if (typeof cut === 'object' && cut.at !== undefined && Object.keys(cut).length === 1) return cut.at;
  throw new InvalidArgumentError('Write cut points by commas, such as 3 or /encoder/Add_output_0.');
}

function cutOf(text: string): CutWords {
  const cut = parseCut(text);
  if (cut !== undefined) return cut;
  throw new InvalidArgumentError('Write auto, never, or cut points by commas, such as 3 or /encoder/Add_output_0.');
}

function nodesOf(text: string): readonly string[] {
  const names = text.split(',').map((name) => name.trim());
  if (!names.includes('')) return names;
  throw new InvalidArgumentError('Write names of nodes by commas, as `weft peers` shows them.');
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
