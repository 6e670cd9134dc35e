// This node in figures: its machine, its memory, its queue, and what it has in memory.
import type { ReactNode } from 'react';
import { Link } from 'wouter';
import type { StatusAnswer } from '../../../../protocol/api/control.ts';
import { Card } from '../../components/card.tsx';
import { NodeName } from '../../components/node-name.tsx';
import { usePs } from '../../data/queries.ts';
import { text } from '../../text/en.ts';
import { duration, memory, safeName, shortModel } from '../../text/format.ts';
import { hardwareText } from './describe.ts';

const words = text.overview;

/** Models that fit; all of them are under Models. */
const MODELS_SHOWN = 3;

export function ThisNode({ status }: { readonly status: StatusAnswer }): ReactNode {
  const { data: ps } = usePs();
  const { memoryBytes } = status.hardware;
  const usedBytes = Math.max(0, memoryBytes - status.load.memoryFreeBytes);
  const loaded = ps?.models.filter(({ state, part }) => state === 'loaded' && part === undefined) ?? [];
  return (
    <Card
      title={<NodeName node={status.node} name={status.name} self />}
      actions={
        <Link href={`/nodes/${encodeURIComponent(status.node)}`} className="text-accent text-xs hover:underline">
          {hardwareText(status.hardware)}
        </Link>
      }
    >
      <div className="flex items-baseline justify-between text-xs">
        <span className="text-muted">{words.memory}</span>
        <span className="tabular">{words.memoryText(memory(usedBytes), memory(memoryBytes))}</span>
      </div>
      <div aria-hidden className="mt-1 h-1.5 overflow-hidden rounded-full bg-sunken">
        <div className="h-full bg-accent" style={{ width: `${Math.min(100, (usedBytes / memoryBytes) * 100)}%` }} />
      </div>
      <dl className="mt-3 grid grid-cols-[auto_minmax(0,1fr)] gap-x-4 gap-y-1 text-xs">
        <dt className="text-muted">{words.queue}</dt>
        <dd className="tabular text-right">
          {status.load.queuedMs < 1 ? words.noQueue : duration(status.load.queuedMs)}
        </dd>
        <dt className="text-muted">{words.address}</dt>
        <dd className="truncate text-right">{status.api}</dd>
        <dt className="text-muted">{words.version}</dt>
        <dd className="tabular text-right">
          {status.version} · {words.uptime} {duration(status.uptimeSeconds * 1_000)}
        </dd>
      </dl>
      <h3 className="kicker mt-4">{words.models}</h3>
      {loaded.length === 0 && <p className="mt-1 text-muted text-xs">{words.nothingLoaded}</p>}
      <ul className="mt-1 text-xs">
        {loaded.slice(0, MODELS_SHOWN).map(({ id, digest, residentBytes, generation }) => (
          <li key={digest} className="flex items-baseline justify-between gap-3 py-0.5">
            <Link href={`/models/${id}`} className="min-w-0 truncate hover:underline">
              <bdi>{safeName(shortModel(id))}</bdi>
            </Link>
            <span className="tabular shrink-0 text-muted">
              {generation !== undefined && generation.tokensPerS > 0
                ? `${Math.round(generation.tokensPerS)} tok/s · ${memory(residentBytes)}`
                : memory(residentBytes)}
            </span>
          </li>
        ))}
      </ul>
      {loaded.length > MODELS_SHOWN && (
        <p className="text-faint text-xs">{words.moreModels(loaded.length - MODELS_SHOWN)}</p>
      )}
    </Card>
  );
}
