// The conversations of a node: kept in one file, answered by the node itself. Made by the composition root; the gateway is
// its only caller. Every call but `stop` is done when it returns, so that two windows never come between each other.
import { MESSAGES_MAX } from '../../../protocol/api/control/conversations.ts';
import type { ConversationChange } from '../../../protocol/api/control/events.ts';
import { WeftError } from '../../../protocol/errors.ts';
import type {
  AnswerOptions,
  AnswerPiece,
  Conversation,
  ConversationHead,
  ConversationQuery,
  Conversations,
  ImportedConversation,
  Message,
} from '../../core/conversations.ts';
import type { ChatRequest, Coordinator } from '../../core/coordinator.ts';
import type { Events } from '../../core/events.ts';
import { type AnswerComponents, LiveAnswer } from './answer.ts';
import { checkSize, known, knownMessage, tooMany } from './checks.ts';
import { ConversationDatabase } from './database.ts';
import { imported } from './imported.ts';
import { ANSWERS_MAX, CONVERSATIONS_MAX, MATCHES_MAX } from './limits.ts';
import { chatRequest, promptOf } from './prompt.ts';
import { pieces } from './reading.ts';
import { matchOf, snippetOf } from './search.ts';
import type { ConversationRow, Tables } from './tables.ts';
import { cleanTitle, titleOf } from './title.ts';

export interface KeptConversationsComponents extends Omit<AnswerComponents, 'coordinator' | 'save'> {
  readonly coordinator: Pick<Coordinator, 'chat' | 'models'>;
  readonly events: Pick<Events, 'publish'>;
  /** A fresh id that begins with this prefix. */
  readonly newId: (prefix: string) => string;
}

export interface KeptConversationsInit {
  /** Path of the file that they are kept in. */
  readonly path: string;
  /** Pages of 4 KiB that the file may have: tests fill it. @default as many as the disk holds */
  readonly pagesMax?: number;
  /** Tests lower it. @default CONVERSATIONS_MAX */
  readonly conversationsMax?: number;
}

/** An answer that was kept, and what the coordinator is to be asked for it. */
interface Prepared {
  readonly message: Message;
  readonly request: ChatRequest;
}

/** An answer under way, and what it belongs to. */
interface Live {
  readonly conversation: string;
  readonly answer: LiveAnswer;
}

export class KeptConversations implements Conversations {
  readonly #components: KeptConversationsComponents;
  readonly #database: ConversationDatabase;
  readonly #conversationsMax: number;
  /** By id of the message. */
  readonly #live = new Map<string, Live>();

  constructor(components: KeptConversationsComponents, init: KeptConversationsInit) {
    this.#components = components;
    this.#database = new ConversationDatabase(components, init);
    this.#conversationsMax = init.conversationsMax ?? CONVERSATIONS_MAX;
  }

  /** Opens the file, and ends what the last process was writing. Where that fails, each later call tries again. */
  open(): void {
    try {
      this.#database.use((tables) => tables.count());
    } catch (error) {
      this.#components.log.error({ error }, 'the conversations can not be read');
    }
  }

  /** Ends the answers under way, keeps what has come of them, and closes the file. */
  async close(): Promise<void> {
    await end([...this.#live.values()], new WeftError({ code: 'stopping', message: 'The node is stopping.' }));
    this.#database.close();
  }

  list({ search = '', limit, before }: ConversationQuery): ReturnType<Conversations['list']> {
    const match = matchOf(search);
    if (match === undefined && search.trim() !== '') return { conversations: [], more: false };
    return this.#database.use((tables) => {
      const page = { before, limit: limit + 1 };
      const rows = match === undefined ? tables.list(page) : tables.search({ ...page, match, matches: MATCHES_MAX });
      const conversations = rows
        .slice(0, limit)
        .map(({ found, ...row }) =>
          found === undefined ? row : { ...row, snippet: snippetOf(tables.content(found), search) },
        );
      return { conversations, more: rows.length > limit };
    });
  }

  create({ title = '', model = null, system = '', settings = {} }: Partial<ConversationHead>): Conversation {
    const now = this.#components.clock.wallNow();
    const head = { title: cleanTitle(title), model, system, settings };
    return this.#add({ ...head, messages: [], leaf: null, createdAtMs: now, updatedAtMs: now });
  }

  import(conversation: ImportedConversation): Conversation {
    const { clock, newId } = this.#components;
    return this.#add(imported(conversation, { now: clock.wallNow(), newId }));
  }

  get(id: string): Conversation {
    return this.#database.use((tables) => {
      const { n, length: _length, ...row } = known(tables, id);
      return { ...row, messages: tables.messages(n).map((message) => this.#current(message)) };
    });
  }

  change(id: string, changes: Parameters<Conversations['change']>[1]): Conversation {
    this.#database.use((tables) => {
      const row = known(tables, id);
      const { title = row.title, model = row.model, system = row.system, settings = row.settings } = changes;
      const { leaf = row.leaf } = changes;
      if (leaf !== null && leaf !== row.leaf) knownMessage(tables, row, leaf);
      tables.change(row, { title: cleanTitle(title), model, system, settings, leaf });
    });
    this.#publish(id, 'changed');
    return this.get(id);
  }

  delete(id: string): void {
    this.#database.use((tables) => tables.remove(known(tables, id).n));
    this.#publish(id, 'deleted');
    const live = [...this.#live].filter(([, { conversation }]) => conversation === id);
    for (const [message] of live) this.#live.delete(message);
    void end(
      live.map(([, one]) => one),
      new WeftError({ code: 'cancelled', message: 'The conversation was deleted.' }),
    );
  }

  send(
    id: string,
    { parent: asked, content, model }: Parameters<Conversations['send']>[1],
    options: AnswerOptions,
  ): { readonly user: Message; readonly answer: Message } {
    const { clock, newId } = this.#components;
    const { user, prepared } = this.#database.use((tables) => {
      const row = known(tables, id);
      const parent = asked === undefined ? row.leaf : asked;
      if (parent !== null) this.#checkParent(knownMessage(tables, row, parent));
      const createdAtMs = clock.wallNow();
      const user: Message = { id: newId('msg_'), parent, role: 'user', content, state: 'done', createdAtMs };
      checkSize(row, { messages: 2, length: content.length });
      tables.addMessage(row.n, user);
      return { user, prepared: this.#prepare(tables, row, user, { model, options }) };
    });
    return { user, answer: this.#begin(id, prepared, options) };
  }

  regenerate(
    id: string,
    messageId: string,
    { model }: { readonly model?: string | undefined },
    options: AnswerOptions,
  ): Message {
    const prepared = this.#database.use((tables) => {
      const row = known(tables, id);
      const message = knownMessage(tables, row, messageId);
      const user = message.role === 'user' ? message : knownMessage(tables, row, message.parent ?? '');
      checkSize(row, { messages: 1, length: 0 });
      return this.#prepare(tables, row, user, { model, options });
    });
    return this.#begin(id, prepared, options);
  }

  async stop(id: string, messageId: string): Promise<Message> {
    this.#message(id, messageId);
    const live = this.#live.get(messageId);
    if (live !== undefined) await end([live], new WeftError({ code: 'cancelled', message: 'The answer was stopped.' }));
    return live?.answer.message ?? this.#message(id, messageId);
  }

  follow(
    id: string,
    messageId: string,
    options: { readonly from: number; readonly signal: AbortSignal },
  ): AsyncIterable<AnswerPiece | Message> {
    const message = this.#message(id, messageId);
    const live = this.#live.get(messageId)?.answer;
    return pieces(live ?? { message, changed: () => Promise.resolve() }, options);
  }

  #message(id: string, messageId: string): Message {
    return this.#database.use((tables) => this.#current(knownMessage(tables, known(tables, id), messageId)));
  }

  /** What is on disk of an answer under way is older than what is here; where nothing is here it will not go on. */
  #current(message: Message): Message {
    if (message.state !== 'streaming') return message;
    return this.#live.get(message.id)?.answer.message ?? { ...message, state: 'stopped' };
  }

  #add(conversation: ImportedConversation): Conversation {
    const id = this.#components.newId('conv_');
    this.#database.use((tables) => {
      if (tables.count() >= this.#conversationsMax) throw tooMany(this.#conversationsMax);
      const n = tables.add({ ...conversation, id });
      for (const message of conversation.messages) tables.addMessage(n, message);
    });
    this.#publish(id, 'created');
    return this.get(id);
  }

  #checkParent(parent: Message): void {
    if (parent.role === 'assistant' && !this.#live.has(parent.id)) return;
    const isUsers = parent.role === 'user';
    throw new WeftError({
      code: 'bad_request',
      message: isUsers
        ? 'A message can only follow an answer, or be the first.'
        : 'The answer that this message follows is still being written.',
      remedy: isUsers ? 'Name an answer as the parent, or null.' : 'Wait for its end, or stop it.',
      facts: { param: 'parent' },
    });
  }

  /** Keeps an answer that is still empty, and shows its branch. */
  #prepare(
    tables: Tables,
    row: ConversationRow,
    user: Message,
    { model: asked, options }: { readonly model: string | undefined; readonly options: AnswerOptions },
  ): Prepared {
    const { clock, newId } = this.#components;
    if (this.#live.size >= ANSWERS_MAX) {
      throw new WeftError({ code: 'overloaded', message: 'Too many answers are being written already.' });
    }
    const model = asked ?? row.model ?? this.#anyModel();
    const createdAtMs = clock.wallNow();
    const message: Message = {
      id: newId('msg_'),
      parent: user.id,
      role: 'assistant',
      content: '',
      state: 'streaming',
      createdAtMs,
      model,
      requestId: options.requestId,
    };
    tables.addMessage(row.n, message);
    const title = row.title === '' ? titleOf(user.content) : row.title;
    tables.change(row, { ...row, title, model: asked ?? row.model, leaf: message.id });
    tables.touch(row.n, createdAtMs);
    const branch = tables.branch(user.id, MESSAGES_MAX);
    return { message, request: chatRequest(model, row.settings, promptOf(row.system, branch)) };
  }

  #begin(id: string, { message, request }: Prepared, options: AnswerOptions): Message {
    const save = (answer: Message): void => this.#save(answer);
    const answer = new LiveAnswer({ ...this.#components, save }, { message, request, options });
    this.#live.set(message.id, { conversation: id, answer });
    void answer.ended.then(() => {
      // Nothing more is said of a conversation that was deleted.
      if (this.#live.delete(message.id)) this.#publish(id, 'changed');
    });
    this.#publish(id, 'changed');
    return answer.message;
  }

  #save(answer: Message): void {
    this.#database.use((tables) => {
      const conversation = tables.saveAnswer(answer);
      if (conversation !== undefined && answer.state !== 'streaming') {
        tables.touch(conversation, this.#components.clock.wallNow());
      }
    });
  }

  /** @throws WeftError `model_not_found` */
  #anyModel(): string {
    const listing = this.#components.coordinator.models().find(({ task }) => task === 'text-generation');
    if (listing !== undefined) return listing.id;
    throw new WeftError({ code: 'model_not_found', message: 'No model of this mesh writes text.' });
  }

  #publish(id: string, change: ConversationChange['change']): void {
    this.#components.events.publish('conversation', { id, change } satisfies ConversationChange);
  }
}

async function end(live: readonly Live[], reason: WeftError): Promise<void> {
  for (const { answer } of live) answer.end(reason);
  await Promise.all(live.map(({ answer }) => answer.ended));
}
