// What `weft pull`, `weft import` and `weft verify` say at their end. Pure but for the warnings, which go to stderr.
import type { PullAnswer, VerifyAnswer } from '../../protocol/api/control.ts';
import type { CommandContext } from './context.ts';
import { formatBytes, formatMs, printable } from './format.ts';

type Signer = PullAnswer['signers'][number];

/** Sizes, how much came from peers instead of the internet, and who signed it; every line ended. */
export function pullSummary(answer: PullAnswer): string {
  const { id, wasHere, sizeBytes, durationMs } = answer;
  const first = wasHere
    ? `${printable(id)} was here already: ${formatBytes(sizeBytes)}.`
    : `${printable(id)} is here: ${formatBytes(sizeBytes)} in ${formatMs(Math.max(1, durationMs))}.`;
  return [first, ...(wasHere ? [] : [originLine(answer)]), signersLine(answer.signers)]
    .map((line) => `${line}\n`)
    .join('');
}

function originLine({ hereBytes, peerBytes, hubBytes }: PullAnswer): string {
  const parts = [
    ...(peerBytes > 0 ? [`${formatBytes(peerBytes)} from peers instead of the internet`] : []),
    ...(hubBytes > 0 ? [`${formatBytes(hubBytes)} from the hub`] : []),
    ...(hereBytes > 0 ? [`${formatBytes(hereBytes)} were on this disk`] : []),
  ];
  return parts.length === 0 ? 'Nothing had to be fetched.' : `${parts.join(', ')}.`;
}

/** `Signed by atlas (member), ed25519:0a… (listed).` */
export function signersLine(signers: readonly Signer[]): string {
  return signers.length === 0 ? 'Nobody has signed it.' : `Signed by ${signers.map(signerName).join(', ')}.`;
}

const STANDINGS: Readonly<Record<Signer['standing'], string>> = {
  member: 'member',
  listed: 'listed in signers',
  unknown: 'unknown',
};

function signerName({ key, name, standing }: Signer): string {
  return printable(`${name ?? shortKey(key)} (${STANDINGS[standing] ?? standing})`);
}

/** The beginning of a key, enough to compare by eye; a node id whole. */
function shortKey(key: string): string {
  const [kind, hex] = key.split(':', 2);
  return hex === undefined || hex.length <= 16 ? key : `${kind}:${hex.slice(0, 16)}…`;
}

/** One line for a model that was verified. */
export function verifyLine({
  id,
  sizeBytes,
  damaged,
  repaired,
  reason,
  signers,
}: VerifyAnswer['models'][number]): string {
  if (damaged.length === 0) return `✓ ${printable(id)}: ${formatBytes(sizeBytes)}, whole. ${signersLine(signers)}`;
  const what = damaged
    .map(
      ({ path, chunks, bytes }) => `${chunks} ${chunks === 1 ? 'chunk' : 'chunks'} of ${path} (${formatBytes(bytes)})`,
    )
    .join(', ');
  const outcome = repaired ? 'brought anew' : `not repaired${reason === undefined ? '' : `: ${reason}`}`;
  return printable(`${repaired ? '✓' : '✗'} ${id}: damaged were ${what}; ${outcome}.`.replace(/\.\.$/, '.'));
}

/** What a person should know. */
export function printWarnings({ stderr }: Pick<CommandContext, 'stderr'>, warnings: readonly string[]): void {
  for (const warning of warnings) stderr.write(`! ${printable(warning)}\n`);
}
