// The decision in words and figures: what was chosen, the candidates that lost and by how much, and who could not, with the reason.
import type { CSSProperties, ReactNode } from 'react';
import { Card } from '../../components/card.tsx';
import { classes } from '../../components/class-names.ts';
import { NodeName } from '../../components/node-name.tsx';
import type { NodeNames } from '../../data/queries.ts';
import { text } from '../../text/en.ts';
import { duration, safeName, safeText } from '../../text/format.ts';
import { candidates, headline, type Plan, PRICE_PARTS, type Price, remarks } from './plan-words.ts';

const { plan: words } = text.requests;

const COLOURS: Readonly<Record<(typeof PRICE_PARTS)[number], string>> = {
  queueMs: 'bg-warn',
  loadMs: 'bg-faint',
  upMs: 'bg-series-3',
  computeMs: 'bg-series-1',
  downMs: 'bg-series-3',
};

export interface PlansProps {
  readonly plans: readonly Plan[];
  readonly names: NodeNames;
}

export function PlanCard({ plans, names }: PlansProps): ReactNode {
  return (
    <Card title={words.title}>
      {plans.length === 0 ? (
        <p className="text-muted text-sm">{words.none}</p>
      ) : (
        <ol className="flex flex-col gap-6">
          {plans.map((plan, index) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: attempts only come behind the others
            <li key={index}>
              {plans.length > 1 && <p className="kicker mb-1">{words.nth(String(index + 1))}</p>}
              <PlanView plan={plan} names={names} />
            </li>
          ))}
        </ol>
      )}
    </Card>
  );
}

function PlanView({ plan, names }: { readonly plan: Plan; readonly names: NodeNames }): ReactNode {
  const lines = candidates(plan);
  const most = Math.max(0.001, ...lines.map(({ price }) => price.totalMs));
  return (
    <div>
      <p className="text-sm">
        <span className="font-medium">{headline(plan, (node) => safeName(names.nameOf(node)))}</span>{' '}
        <span className="text-muted">{remarks(plan).join(' ')}</span>
      </p>
      <ul aria-label={words.candidates} className="mt-3 text-sm">
        {lines.map(({ key, nodes, role, part, price, note }) => (
          <li
            key={key}
            className={classes(
              'grid grid-cols-[minmax(0,1fr)_auto] gap-x-4 border-line border-t py-2 first:border-t-0',
              'sm:grid-cols-[minmax(0,11rem)_minmax(0,1fr)_4.5rem]',
              role === 'part' && 'pl-4',
            )}
          >
            <div className="min-w-0">
              <span className={classes('flex flex-wrap gap-x-3', role === 'chosen' && 'font-semibold')}>
                {nodes.map((node) => (
                  <NodeName key={node} node={node} name={names.nameOf(node)} self={node === names.self} />
                ))}
              </span>
              {part !== undefined && <span className="block text-faint text-xs">{part}</span>}
            </div>
            <span className={classes('tabular text-right sm:order-last', role === 'chosen' && 'font-semibold')}>
              {duration(price.totalMs)}
            </span>
            <div className="max-sm:col-span-2">
              <PriceBar price={price} most={most} strong={role !== 'other'} />
              <span className="mt-1 block text-faint text-xs">
                {[note, partsWords(price)].filter(Boolean).join(' · ')}
              </span>
            </div>
          </li>
        ))}
      </ul>
      {plan.rejected.length > 0 && (
        <div className="mt-3 border-line border-t pt-2">
          <p className="kicker">{words.rejected}</p>
          <ul className="mt-1 flex flex-col gap-1 text-sm">
            {plan.rejected.map(({ node, reason }) => (
              <li key={node} className="flex min-w-0 flex-wrap items-baseline gap-x-2">
                <NodeName node={node} name={names.nameOf(node)} self={node === names.self} />
                <span className="text-muted text-xs">{safeText(reason)}</span>
              </li>
            ))}
          </ul>
        </div>
      )}
    </div>
  );
}

/** Parts of a price in the order of time, as long as the longest of all that are compared. */
export function PriceBar({
  price,
  most,
  strong = true,
}: {
  readonly price: Partial<Omit<Price, 'totalMs'>>;
  readonly most: number;
  readonly strong?: boolean;
}): ReactNode {
  return (
    <span
      aria-hidden
      style={{ opacity: strong ? 1 : 0.55 } as CSSProperties}
      className="mt-1 flex h-2.5 overflow-hidden rounded-[3px] bg-sunken"
    >
      {PRICE_PARTS.map((part) => (
        <span key={part} className={COLOURS[part]} style={{ width: `${((price[part] ?? 0) / most) * 100}%` }} />
      ))}
    </span>
  );
}

/** Such as `loading 1.59 s, computing 559 ms`. */
export function partsWords(price: Partial<Omit<Price, 'totalMs'>>): string {
  return PRICE_PARTS.filter((part) => (price[part] ?? 0) > 0)
    .map((part) => `${words.parts[part]} ${duration(price[part] ?? 0)}`)
    .join(', ');
}
