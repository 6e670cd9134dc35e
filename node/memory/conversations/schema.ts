// The tables of conversations.sqlite, and how an older file becomes one of today. A change of the tables is one more step
// at the end of the list; steps that were released never change.
import type { DatabaseSync } from 'node:sqlite';
import { WeftError } from '../../../protocol/errors.ts';

/**
 * `touched` counts up with everything that is said: the order of lists doesn't depend on the clock. Large columns come last,
 * so that lists don't read them. The indexes hold no text of their own; `contentless_delete` lets rows go by number.
 */
const STEPS: readonly string[] = [
  `
  CREATE TABLE conversation (
    n INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    touched INTEGER NOT NULL UNIQUE,
    created_at_ms INTEGER NOT NULL,
    updated_at_ms INTEGER NOT NULL,
    messages INTEGER NOT NULL,
    length INTEGER NOT NULL,
    leaf TEXT,
    model TEXT,
    title TEXT NOT NULL,
    settings TEXT NOT NULL,
    system TEXT NOT NULL
  ) STRICT;
  CREATE TABLE message (
    n INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    conversation INTEGER NOT NULL REFERENCES conversation (n),
    parent TEXT,
    role TEXT NOT NULL,
    state TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL,
    facts TEXT NOT NULL,
    content TEXT NOT NULL
  ) STRICT;
  CREATE INDEX message_by_conversation ON message (conversation, n);
  CREATE INDEX message_unfinished ON message (n) WHERE state = 'streaming';
  CREATE VIRTUAL TABLE title_found USING fts5(
    text, content = '', contentless_delete = 1, tokenize = 'unicode61 remove_diacritics 2', prefix = '2 3');
  CREATE VIRTUAL TABLE text_found USING fts5(
    text, content = '', contentless_delete = 1, tokenize = 'unicode61 remove_diacritics 2', prefix = '2 3');
  `,
];

/**
 * Brings a file to today's tables; a new one is empty.
 * @throws WeftError `home_unwritable` for a file of a newer version, which is left as it is; the driver's errors
 */
export function migrate(database: DatabaseSync): void {
  const version = Number(database.prepare('PRAGMA user_version').get()?.user_version);
  if (version > STEPS.length) {
    throw new WeftError({
      code: 'home_unwritable',
      message: `A newer version of Weft keeps the conversations (its tables are of version ${version}, these of ${STEPS.length}).`,
      remedy: 'Update Weft. The file is left as it is.',
    });
  }
  for (const [index, step] of STEPS.entries()) {
    if (index < version) continue;
    database.exec(`BEGIN; ${step} PRAGMA user_version = ${index + 1}; COMMIT`);
  }
}
