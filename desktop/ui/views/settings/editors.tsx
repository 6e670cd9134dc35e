// The editors of settings, by the kind of what they may be. Switches and choices take effect when they are touched; what is written is
// saved when the person says so, and given back as it is where the node refuses it.
import { type ReactNode, useId, useState } from 'react';
import { Input, Select } from '../../components/field.tsx';
import { Switch } from '../../components/switch.tsx';
import { text } from '../../text/en.ts';
import { safeText } from '../../text/format.ts';
import { type Editor, formatAmount, parseAmount } from './editor-of.ts';
import { ListEditor, SetEditor } from './list-editors.tsx';
import { type EditorProps, Written } from './written.tsx';

/** Picks the editor. Keyed by the value: a value that has changed begins anew. */
export function SettingEditor({ editor, ...props }: EditorProps & { readonly editor: Editor }): ReactNode {
  const { title, value, busy, ids, onSave } = props;
  switch (editor.kind) {
    case 'switch':
      return (
        <div className="flex h-8 items-center sm:justify-end">
          <Switch label={title} checked={value === true} disabled={busy} onChange={onSave} />
        </div>
      );
    case 'choice': {
      const shown = String(value ?? '');
      const values = editor.values.includes(shown) ? editor.values : [shown, ...editor.values];
      return (
        <Select
          {...ids}
          disabled={busy}
          value={shown}
          onChange={onSave}
          options={values.map((each) => ({ value: each, label: safeText(each) }))}
        />
      );
    }
    case 'number':
      return <NumberEditor {...props} min={editor.min} max={editor.max} />;
    case 'amount':
      return <AmountEditor {...props} units={editor.units} words={editor.words} of={editor.of} />;
    case 'set':
      return <SetEditor {...props} words={editor.words} />;
    case 'list':
      return <ListEditor {...props} words={editor.words} />;
    case 'text':
      return <TextEditor {...props} suggestions={editor.suggestions} />;
  }
}

function NumberEditor({
  value,
  min,
  max,
  busy,
  ids,
  onTouched,
  onSave,
}: EditorProps & { readonly min: number; readonly max: number }): ReactNode {
  const now = String(value ?? '');
  const [draft, setDraft] = useState(now);
  const written = draft.trim();
  return (
    <Written
      dirty={written !== now}
      busy={busy}
      onUndo={() => setDraft(now)}
      // What is no number goes out as it is: the node says what is wrong with it.
      onSave={() => onSave(/^\d{1,15}$/.test(written) ? Number(written) : written)}
    >
      <div className="flex items-center gap-2">
        <Input
          {...ids}
          inputMode="numeric"
          value={draft}
          onChange={({ target }) => {
            setDraft(target.value);
            onTouched();
          }}
          className="tabular"
        />
        <span className="shrink-0 text-faint text-xs">{text.settings.range(min, max)}</span>
      </div>
    </Written>
  );
}

const AMOUNT_WORDS: Readonly<Record<string, string>> = {
  none: text.settings.amounts.none,
  '0': text.settings.amounts.zero,
  '-1': text.settings.amounts.forever,
};

function AmountEditor({
  title,
  value,
  units,
  words,
  of,
  busy,
  ids,
  onTouched,
  onSave,
}: EditorProps & {
  readonly units: readonly string[];
  readonly words: readonly string[];
  readonly of: 'size' | 'duration';
}): ReactNode {
  const now = String(value ?? '');
  const usual = of === 'size' ? 'GiB' : 'm';
  const [draft, setDraft] = useState(now);
  const word = words.includes(draft) ? draft : undefined;
  const amount = word === undefined ? parseAmount(draft, units) : undefined;
  // Anything else, such as 1h30m, is written as it is.
  const free = word === undefined && amount === undefined;
  const [number, setNumber] = useState(amount?.number ?? '');
  const [unit, setUnit] = useState(amount?.unit ?? usual);
  const [plain] = useState(free && now !== '');
  const write = (next: string): void => {
    setDraft(next);
    onTouched();
  };
  const undo = (): void => {
    const before = parseAmount(now, units);
    setDraft(now);
    setNumber(before?.number ?? '');
    setUnit(before?.unit ?? usual);
  };
  const unitLabel = (each: string): string =>
    of === 'duration' ? text.settings.timeUnits[each as keyof typeof text.settings.timeUnits] : each;
  return (
    <Written dirty={draft !== now} busy={busy} onUndo={undo} onSave={() => onSave(draft.trim())}>
      {plain ? (
        <Input {...ids} value={draft} onChange={({ target }) => write(target.value)} className="tabular" />
      ) : (
        <div className="flex gap-2">
          {word === undefined && (
            <Input
              {...ids}
              inputMode="decimal"
              value={number}
              onChange={({ target }) => {
                setNumber(target.value);
                write(formatAmount({ number: target.value, unit }));
              }}
              className="tabular grow"
            />
          )}
          <Select
            aria-label={text.settings.unit(title)}
            {...(word === undefined ? {} : ids)}
            className={word === undefined ? 'w-32 shrink-0' : 'grow'}
            value={word ?? unit}
            onChange={(next) => {
              if (words.includes(next)) return write(next);
              setUnit(next);
              write(formatAmount({ number, unit: next }));
            }}
            options={[
              ...units.map((each) => ({ value: each, label: unitLabel(each) })),
              ...words.map((each) => ({ value: each, label: AMOUNT_WORDS[each] ?? each })),
            ]}
          />
        </div>
      )}
    </Written>
  );
}

function TextEditor({
  value,
  suggestions,
  busy,
  ids,
  onTouched,
  onSave,
}: EditorProps & { readonly suggestions: readonly string[] }): ReactNode {
  const now = value === null || value === undefined ? '' : String(value);
  const [draft, setDraft] = useState(now);
  const list = useId();
  return (
    <Written
      dirty={draft !== now}
      busy={busy}
      onUndo={() => setDraft(now)}
      // Nothing is what the node has where nothing is written.
      onSave={() => onSave(draft.trim() === '' ? null : draft)}
    >
      <Input
        {...ids}
        value={draft}
        list={suggestions.length === 0 ? undefined : list}
        placeholder={text.settings.notSet}
        onChange={({ target }) => {
          setDraft(target.value);
          onTouched();
        }}
      />
      {suggestions.length > 0 && (
        <datalist id={list}>
          {suggestions.map((each) => (
            <option key={each} value={each} />
          ))}
        </datalist>
      )}
    </Written>
  );
}
