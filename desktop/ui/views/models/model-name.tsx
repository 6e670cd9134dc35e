// The name of a model in a list: its last part in ink, the rest of what tells it apart below. All of it is text of others.
import type { ReactNode } from 'react';
import { Link } from 'wouter';
import { Foreign } from '../../components/node-name.tsx';
import { shortModel } from '../../text/format.ts';
import { modelHref, ownerOf, taskWord } from './model-rows.ts';

export interface ModelNameProps {
  readonly id: string;
  /** Of its page; without it the name is no link. */
  readonly address?: string | undefined;
  readonly task?: string | undefined;
  readonly form?: string | undefined;
}

export function ModelName({ id, address, task, form }: ModelNameProps): ReactNode {
  const name = <Foreign className="block truncate">{shortModel(id)}</Foreign>;
  const owner = ownerOf(id);
  const notes = [
    ...(owner === '' ? [] : [<Foreign key="owner">{owner}</Foreign>]),
    ...(task === undefined ? [] : [<span key="task">{taskWord(task)}</span>]),
    ...(form === undefined ? [] : [<Foreign key="form">{form}</Foreign>]),
  ];
  return (
    <div className="min-w-0">
      {address === undefined ? (
        <span className="block font-medium">{name}</span>
      ) : (
        <Link href={modelHref(address)} className="block font-medium underline-offset-2 hover:underline">
          {name}
        </Link>
      )}
      <p className="flex min-w-0 flex-wrap items-center gap-x-1 text-faint text-xs">
        {notes.flatMap((note, at) =>
          at === 0
            ? [note]
            : [
                <span key={`dot-${note.key}`} aria-hidden>
                  ·
                </span>,
                note,
              ],
        )}
      </p>
    </div>
  );
}
