// Tokens as chips: the paler, the less likely. The chosen one shows what else was likely in its place.
import { type ReactNode, useState } from 'react';
import { classes } from '../../components/class-names.ts';
import { text } from '../../text/en.ts';
import { percent, safeText } from '../../text/format.ts';
import { probability, type Token, visibleToken } from './tokens.ts';

export function TokenChips({ tokens }: { readonly tokens: readonly Token[] }): ReactNode {
  const [chosen, setChosen] = useState<number>();
  const token = chosen === undefined ? undefined : tokens[chosen];
  return (
    <section aria-label={text.try.tokenTitle} className="flex flex-col gap-2 border-line border-t pt-3">
      <p className="text-muted text-xs">{text.try.tokenHint}</p>
      <ul className="flex flex-wrap gap-1">
        {tokens.map(({ text: own, logprob }, at) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: tokens only come at the end
          <li key={at}>
            <button
              type="button"
              aria-pressed={chosen === at}
              aria-label={text.try.tokenChosen(shown(own), percent(probability(logprob)))}
              onClick={() => setChosen(chosen === at ? undefined : at)}
              style={{ backgroundColor: shade(probability(logprob)) }}
              className={classes(
                'rounded-sm border px-1 py-0.5 font-mono text-xs',
                chosen === at ? 'border-accent' : 'border-transparent hover:border-line-strong',
              )}
            >
              <bdi>{shown(own)}</bdi>
            </button>
          </li>
        ))}
      </ul>
      {token !== undefined && (
        <table className="w-full max-w-sm border-collapse text-left text-sm">
          <thead>
            <tr className="border-line border-b text-faint text-xs">
              <th className="py-1 pr-3 font-medium">{text.try.token}</th>
              <th className="py-1 font-medium" colSpan={2}>
                {text.try.probability}
              </th>
            </tr>
          </thead>
          <tbody>
            {others(token).map((other) => (
              <tr
                key={other.text}
                className={classes(
                  'border-line border-b last:border-b-0',
                  other.text === token.text && 'font-semibold',
                )}
              >
                <td className="py-1 pr-3 font-mono text-xs">
                  <bdi>{shown(other.text)}</bdi>
                </td>
                <td className="tabular w-14 whitespace-nowrap py-1 pr-2 text-right">
                  {percent(probability(other.logprob))}
                </td>
                <td className="w-1/2 py-1">
                  <span
                    aria-hidden
                    className="block h-2 rounded-[2px] bg-accent"
                    style={{ width: `${probability(other.logprob) * 100}%` }}
                  />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}

/** The drawn token stands in the list even where it was none of the likeliest. */
const others = (token: Token): Token['others'] =>
  token.others.some((other) => other.text === token.text) ? token.others : [...token.others, token];

const shown = (token: string): string => safeText(visibleToken(token));

const shade = (share: number): string =>
  `color-mix(in oklch, var(--accent) ${Math.round(6 + share * 26)}%, var(--panel))`;
