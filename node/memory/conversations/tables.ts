// Every statement on the tables of the conversations, prepared once. No statement reads a table from its beginning to its
// end: each goes by an index, and is bounded by what its caller asks for.
import type { DatabaseSync, SQLOutputValue, StatementSync } from 'node:sqlite';
import type {
  AnswerFacts,
  Conversation,
  ConversationHead,
  ConversationSummary,
  Message,
  MessageState,
} from '../../core/conversations.ts';
import { indexed } from './search.ts';

/** A conversation without its messages. */
export interface ConversationRow extends Omit<Conversation, 'messages'> {
  /** Number of the row. */
  readonly n: number;
  readonly messages: number;
  /** Characters of all of them. */
  readonly length: number;
}

/** A conversation in a list, and the row of the message that was found in it. */
export interface ListedRow extends ConversationSummary {
  readonly found: number | undefined;
}

/** A message with the row of its conversation. */
export interface MessageRow extends Message {
  readonly n: number;
}

type Row = Record<string, SQLOutputValue>;

const HEAD = 'n, id, title, model, created_at_ms, updated_at_ms, messages';
const MESSAGE = 'n, id, parent, role, state, created_at_ms, facts, content';
const NEXT_TOUCH = '(SELECT coalesce(max(touched), 0) + 1 FROM conversation)';

/** Statements by what they do. */
export const STATEMENTS = {
  count: 'SELECT count(*) AS count FROM conversation',
  add: `INSERT INTO conversation (id, touched, created_at_ms, updated_at_ms, messages, length, leaf, model, title, settings, system)
    VALUES (?, ${NEXT_TOUCH}, ?, ?, 0, 0, ?, ?, ?, ?, ?)`,
  conversation: `SELECT ${HEAD}, length, leaf, settings, system, touched FROM conversation WHERE id = ?`,
  change: 'UPDATE conversation SET title = ?, model = ?, system = ?, settings = ?, leaf = ? WHERE n = ?',
  touch: `UPDATE conversation SET touched = ${NEXT_TOUCH}, updated_at_ms = ? WHERE n = ?`,
  lengthen: 'UPDATE conversation SET messages = messages + ?, length = length + ? WHERE n = ?',
  remove: 'DELETE FROM conversation WHERE n = ?',
  removeMessages: 'DELETE FROM message WHERE conversation = ?',
  list: `SELECT ${HEAD} FROM conversation WHERE touched < ? ORDER BY touched DESC LIMIT ?`,
  search: `WITH hit (conversation, found) AS (
      SELECT message.conversation, message.n FROM message
        JOIN (SELECT rowid FROM text_found WHERE text_found MATCH :match ORDER BY rowid DESC LIMIT :matches) AS one
        ON message.n = one.rowid
      UNION ALL
      SELECT rowid, NULL FROM (
        SELECT rowid FROM title_found WHERE title_found MATCH :match ORDER BY rowid DESC LIMIT :matches)
    )
    SELECT ${HEAD}, max(hit.found) AS found FROM hit JOIN conversation ON conversation.n = hit.conversation
    WHERE touched < :touched GROUP BY conversation.n ORDER BY touched DESC LIMIT :limit`,
  addMessage: `INSERT INTO message (id, conversation, parent, role, state, created_at_ms, facts, content)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
  messages: `SELECT ${MESSAGE} FROM message WHERE conversation = ? ORDER BY n`,
  message: `SELECT ${MESSAGE} FROM message WHERE id = ? AND conversation = ?`,
  content: 'SELECT content FROM message WHERE n = ?',
  branch: `WITH RECURSIVE branch (depth, id, parent, role, content) AS (
      SELECT 0, id, parent, role, content FROM message WHERE id = ?
      UNION ALL
      SELECT depth + 1, message.id, message.parent, message.role, message.content FROM message
        JOIN branch ON message.id = branch.parent LIMIT ?
    )
    SELECT id, role, content FROM branch ORDER BY depth DESC`,
  saveAnswer: 'UPDATE message SET state = ?, facts = ?, content = ? WHERE id = ? RETURNING n, conversation',
  unfinished: "SELECT n, content FROM message WHERE state = 'streaming'",
  stopUnfinished: "UPDATE message SET state = 'stopped' WHERE n = ?",
  addLength: 'UPDATE conversation SET length = length + ? WHERE n = (SELECT conversation FROM message WHERE n = ?)',
  indexText: 'INSERT INTO text_found (rowid, text) VALUES (?, ?)',
  dropTexts: 'DELETE FROM text_found WHERE rowid IN (SELECT n FROM message WHERE conversation = ?)',
  indexTitle: 'INSERT INTO title_found (rowid, text) VALUES (?, ?)',
  dropTitle: 'DELETE FROM title_found WHERE rowid = ?',
} as const;

export class Tables {
  readonly #statements: Readonly<Record<keyof typeof STATEMENTS, StatementSync>>;

  constructor(database: DatabaseSync) {
    const prepared = Object.entries(STATEMENTS).map(([name, sql]) => [name, database.prepare(sql)] as const);
    this.#statements = Object.fromEntries(prepared) as Record<keyof typeof STATEMENTS, StatementSync>;
    // What the index writes inside has row numbers past 2^53, which the driver would refuse to report.
    for (const name of ['indexText', 'dropTexts', 'indexTitle', 'dropTitle'] as const) {
      this.#statements[name].setReadBigInts(true);
    }
  }

  /** Conversations that are kept. */
  count(): number {
    return Number(this.#statements.count.get()?.count);
  }

  /** @returns number of its row */
  add(conversation: ConversationHead & Pick<Conversation, 'id' | 'createdAtMs' | 'updatedAtMs' | 'leaf'>): number {
    const { id, title, model, system, settings, leaf, createdAtMs, updatedAtMs } = conversation;
    const json = JSON.stringify(settings);
    const n = Number(
      this.#statements.add.run(id, createdAtMs, updatedAtMs, leaf, model, title, json, system).lastInsertRowid,
    );
    this.#indexTitle(n, title);
    return n;
  }

  conversation(id: string): ConversationRow | undefined {
    const row = this.#statements.conversation.get(id);
    if (row === undefined) return undefined;
    return {
      ...summary(row),
      n: Number(row.n),
      length: Number(row.length),
      leaf: textOrNull(row.leaf),
      settings: JSON.parse(String(row.settings)),
      system: String(row.system),
    };
  }

  change(before: ConversationRow, after: ConversationHead & Pick<Conversation, 'leaf'>): void {
    const { title, model, system, settings, leaf } = after;
    this.#statements.change.run(title, model, system, JSON.stringify(settings), leaf, before.n);
    if (title === before.title) return;
    this.#statements.dropTitle.run(before.n);
    this.#indexTitle(before.n, title);
  }

  /** Something was said: it is the first of the list from now on. */
  touch(n: number, atMs: number): void {
    this.#statements.touch.run(atMs, n);
  }

  /** Takes a conversation away, with all that was said in it. */
  remove(n: number): void {
    this.#statements.dropTexts.run(n);
    this.#statements.dropTitle.run(n);
    this.#statements.removeMessages.run(n);
    this.#statements.remove.run(n);
  }

  /** @param before id of a conversation; undefined = from the first one */
  list({ before, limit }: { readonly before: string | undefined; readonly limit: number }): readonly ListedRow[] {
    const touched = this.#touchedOf(before);
    return touched === undefined ? [] : this.#statements.list.all(touched, limit).map(listed);
  }

  /** As {@link list}, of those in which the words of `match` are found among the newest `matches` that have them. */
  search(query: {
    readonly match: string;
    readonly matches: number;
    readonly before: string | undefined;
    readonly limit: number;
  }): readonly ListedRow[] {
    const touched = this.#touchedOf(query.before);
    if (touched === undefined) return [];
    const { match, matches, limit } = query;
    return this.#statements.search.all({ match, matches, touched, limit }).map(listed);
  }

  /** Undefined for a conversation that there isn't. */
  #touchedOf(id: string | undefined): number | undefined {
    if (id === undefined) return Number.MAX_SAFE_INTEGER;
    const row = this.#statements.conversation.get(id);
    return row === undefined ? undefined : Number(row.touched);
  }

  /** Adds a message at the end. Those that have ended can be found from now on. */
  addMessage(conversation: number, message: Message): void {
    const { id, parent, role, state, createdAtMs, content } = message;
    const facts = JSON.stringify(factsOf(message));
    const { lastInsertRowid } = this.#statements.addMessage.run(
      id,
      conversation,
      parent,
      role,
      state,
      createdAtMs,
      facts,
      content,
    );
    this.#statements.lengthen.run(1, content.length, conversation);
    if (state !== 'streaming') this.#indexText(Number(lastInsertRowid), content);
  }

  /** Oldest first. */
  messages(conversation: number): readonly Message[] {
    return this.#statements.messages.all(conversation).map(message);
  }

  message(conversation: number, id: string): Message | undefined {
    const row = this.#statements.message.get(id, conversation);
    return row === undefined ? undefined : message(row);
  }

  /** Text of a message that was found. */
  content(n: number): string {
    return String(this.#statements.content.get(n)?.content ?? '');
  }

  /** From the first message to this one, so many at most. */
  branch(id: string, messagesMax: number): readonly Pick<Message, 'id' | 'role' | 'content'>[] {
    return this.#statements.branch.all(id, messagesMax).map((row) => ({
      id: String(row.id),
      role: row.role as Message['role'],
      content: String(row.content),
    }));
  }

  /** Writes what has come of an answer. @returns row of its conversation; undefined when it was deleted meanwhile */
  saveAnswer(answer: Message): number | undefined {
    const { id, state, content } = answer;
    const row = this.#statements.saveAnswer.get(state, JSON.stringify(factsOf(answer)), content, id);
    if (row === undefined) return undefined;
    const conversation = Number(row.conversation);
    if (state !== 'streaming') {
      this.#indexText(Number(row.n), content);
      this.#statements.lengthen.run(0, content.length, conversation);
    }
    return conversation;
  }

  /** Ends what a process that is gone was writing. @returns how many answers */
  stopUnfinished(): number {
    const rows = this.#statements.unfinished.all();
    for (const { n, content } of rows) {
      const text = String(content);
      this.#statements.stopUnfinished.run(Number(n));
      this.#statements.addLength.run(text.length, Number(n));
      this.#indexText(Number(n), text);
    }
    return rows.length;
  }

  #indexText(n: number, text: string): void {
    this.#statements.indexText.run(n, indexed(text));
  }

  #indexTitle(n: number, title: string): void {
    this.#statements.indexTitle.run(n, indexed(title));
  }
}

function summary(row: Row) {
  return {
    id: String(row.id),
    title: String(row.title),
    model: textOrNull(row.model),
    createdAtMs: Number(row.created_at_ms),
    updatedAtMs: Number(row.updated_at_ms),
    messages: Number(row.messages),
  };
}

function listed(row: Row): ListedRow {
  const { found } = row;
  return { ...summary(row), found: found === undefined || found === null ? undefined : Number(found) };
}

function message(row: Row): Message {
  return {
    id: String(row.id),
    parent: textOrNull(row.parent),
    role: row.role as Message['role'],
    content: String(row.content),
    state: row.state as MessageState,
    createdAtMs: Number(row.created_at_ms),
    ...(JSON.parse(String(row.facts)) as AnswerFacts),
  };
}

function factsOf({ error, model, requestId, nodes, usage, ttftMs, tokensPerSecond }: AnswerFacts): AnswerFacts {
  return { error, model, requestId, nodes, usage, ttftMs, tokensPerSecond };
}

const textOrNull = (value: SQLOutputValue | undefined): string | null =>
  value === undefined || value === null ? null : String(value);
