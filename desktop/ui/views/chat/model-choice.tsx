// Which model answers: all of the mesh that write text, each with the nodes that have it and how it stands there.
import { Check, ChevronDown } from 'lucide-react';
import { DropdownMenu as Radix } from 'radix-ui';
import type { ReactNode } from 'react';
import type { ModelsAnswer } from '../../../../protocol/api/control.ts';
import { StateDot } from '../../components/badge.tsx';
import { Button } from '../../components/button.tsx';
import { NodeName } from '../../components/node-name.tsx';
import { text } from '../../text/en.ts';
import { bytes, safeName, shortModel } from '../../text/format.ts';
import { chatModels, isModel, type ModelEntry } from './models.ts';

export interface ModelChoiceProps {
  /** Undefined: not known yet. */
  readonly models: ModelsAnswer | undefined;
  /** Null = the first that writes text. */
  readonly value: string | null;
  readonly onChange: (model: string) => void;
}

const NODES_SHOWN = 3;

export function ModelChoice({ models, value, onChange }: ModelChoiceProps): ReactNode {
  const entries = chatModels(models);
  const chosen = value === null ? entries[0] : entries.find((entry) => isModel(entry, value));
  const none = models === undefined ? text.chat.modelPending : text.chat.noModel;
  const name = chosen === undefined ? (value === null ? none : safeName(shortModel(value))) : chosen.name;
  return (
    <Radix.Root modal={false}>
      <Radix.Trigger asChild>
        <Button kind="quiet" size="small" aria-label={text.chat.modelOf(name)} className="min-w-0 max-w-64 shrink">
          <StateDot
            tone={chosen?.loaded === true ? 'good' : models !== undefined && chosen === undefined ? 'warn' : 'neutral'}
          />
          <bdi className="truncate">{name}</bdi>
          <ChevronDown />
        </Button>
      </Radix.Trigger>
      <Radix.Portal>
        <Radix.Content
          align="start"
          sideOffset={4}
          collisionPadding={8}
          className="z-50 max-h-[min(28rem,var(--radix-dropdown-menu-content-available-height))] w-[min(24rem,calc(100vw-16px))] animate-[appear_90ms_ease-out] overflow-y-auto rounded-lg border border-line-strong bg-panel p-1"
        >
          <Radix.RadioGroup value={chosen?.value ?? ''} onValueChange={onChange}>
            {entries.map((entry) => (
              <Radix.RadioItem
                key={entry.value}
                value={entry.value}
                className="flex cursor-pointer select-none gap-2 rounded-md px-2 py-2 outline-none data-[highlighted]:bg-sunken"
              >
                <span className="mt-0.5 size-4 shrink-0">
                  <Radix.ItemIndicator>
                    <Check aria-hidden className="size-4 text-accent" />
                  </Radix.ItemIndicator>
                </span>
                <Entry entry={entry} />
              </Radix.RadioItem>
            ))}
          </Radix.RadioGroup>
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  );
}

function Entry({ entry }: { readonly entry: ModelEntry }): ReactNode {
  return (
    <span className="min-w-0 grow">
      <span className="flex min-w-0 items-baseline gap-2">
        <bdi className="truncate font-medium text-sm">{entry.name}</bdi>
        <span className="tabular ml-auto shrink-0 text-faint text-xs">
          {[entry.form, bytes(entry.sizeBytes)].filter((part) => part !== undefined).join(' · ')}
        </span>
      </span>
      {entry.nodes.slice(0, NODES_SHOWN).map(({ node, name, self, state }) => (
        <span key={node} className="mt-1 flex min-w-0 items-center gap-2 text-muted text-xs">
          <NodeName node={node} name={name} self={self} />
          <StateDot
            tone={state === 'loaded' ? 'good' : state === 'quarantined' ? 'bad' : 'neutral'}
            className="ml-auto shrink-0"
          >
            {text.chat.states[state] ?? safeName(state)}
          </StateDot>
        </span>
      ))}
      {entry.nodes.length > NODES_SHOWN && (
        <span className="mt-1 block text-faint text-xs">+ {entry.nodes.length - NODES_SHOWN}</span>
      )}
    </span>
  );
}
