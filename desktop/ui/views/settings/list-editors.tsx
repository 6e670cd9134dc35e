// The editors of settings that hold several values: any of a few words, or a list of names.
import { Plus, X } from 'lucide-react';
import { type ReactNode, useState } from 'react';
import { Button, IconButton } from '../../components/button.tsx';
import { Input } from '../../components/field.tsx';
import { Switch } from '../../components/switch.tsx';
import { text } from '../../text/en.ts';
import { safeText } from '../../text/format.ts';
import { listOf, withItem } from './editor-of.ts';
import { type EditorProps, Written } from './written.tsx';

/** Words that are on or off; the last one stands for none of them. */
export function SetEditor({
  title,
  value,
  words,
  busy,
  onSave,
}: EditorProps & { readonly words: readonly string[] }): ReactNode {
  const now = listOf(value);
  const none = words.at(-1) ?? '';
  const toggle = (word: string, on: boolean): void => {
    const next = words.filter((each) => each !== none && (each === word ? on : now.includes(each)));
    onSave(next.length === 0 ? [none] : next);
  };
  return (
    <div className="flex flex-col gap-2">
      {words
        .filter((word) => word !== none)
        .map((word) => (
          <div key={word} className="flex items-center justify-between gap-4 text-sm sm:justify-end">
            <span>{text.settings.words[word] ?? word}</span>
            <Switch
              label={`${title}: ${text.settings.words[word] ?? word}`}
              checked={now.includes(word)}
              disabled={busy}
              onChange={(on) => toggle(word, on)}
            />
          </div>
        ))}
    </div>
  );
}

/** Names; what is written but not yet added is saved, too. */
export function ListEditor({
  title,
  value,
  words,
  busy,
  ids,
  onTouched,
  onSave,
}: EditorProps & { readonly words: readonly string[] }): ReactNode {
  const now = listOf(value);
  const [items, setItems] = useState(now);
  const [next, setNext] = useState('');
  const change = (changed: readonly string[]): void => {
    setItems(changed);
    onTouched();
  };
  const add = (item: string): void => {
    setNext('');
    change(withItem(items, item));
  };
  const written = withItem(items, next);
  return (
    <Written
      dirty={JSON.stringify(written) !== JSON.stringify(now)}
      busy={busy}
      onUndo={() => {
        setItems(now);
        setNext('');
      }}
      onSave={() => onSave(written)}
    >
      {items.length > 0 && (
        <ul className="flex flex-wrap gap-1.5">
          {items.map((item) => (
            <li
              key={item}
              className="flex min-h-7 min-w-0 max-w-full items-center rounded-sm border border-line-strong bg-sunken pl-2 text-sm"
            >
              <bdi className="min-w-0 break-all">{safeText(item)}</bdi>
              <IconButton
                size="small"
                label={text.settings.removeFrom(safeText(item))}
                icon={<X />}
                disabled={busy}
                onClick={() => change(items.filter((each) => each !== item))}
              />
            </li>
          ))}
        </ul>
      )}
      <div className="flex gap-2">
        <Input
          {...ids}
          value={next}
          placeholder={items.length === 0 ? text.settings.emptyList : undefined}
          onChange={({ target }) => {
            setNext(target.value);
            onTouched();
          }}
          onKeyDown={(event) => {
            if (event.key !== ',') return;
            event.preventDefault();
            add(next);
          }}
        />
        <IconButton
          kind="secondary"
          label={text.settings.addTo(title)}
          icon={<Plus />}
          disabled={next.trim() === ''}
          onClick={() => add(next)}
        />
      </div>
      {words.some((word) => !items.includes(word)) && (
        <div className="flex flex-wrap gap-1.5">
          {words
            .filter((word) => !items.includes(word))
            .map((word) => (
              <Button key={word} size="small" icon={<Plus />} disabled={busy} onClick={() => add(word)}>
                {word}
              </Button>
            ))}
        </div>
      )}
    </Written>
  );
}
