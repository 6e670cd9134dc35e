// Conversations that come from files, hostile ones included.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ImportedConversation, Message } from '../../../../node/core/conversations.ts';
import { CONVERSATION_LENGTH_MAX } from '../../../../node/memory/conversations/limits.ts';
import { checkTree } from '../../../../node/memory/conversations/tree.ts';
import { WeftError } from '../../../../protocol/errors.ts';
import { openConversations } from './support.ts';

const message = (id: string, parent: string | null, role: Message['role'], more: Partial<Message> = {}): Message => ({
  id,
  parent,
  role,
  content: `Text of ${id}`,
  state: 'done',
  createdAtMs: 5,
  ...more,
});

const conversation = (messages: readonly Message[], leaf: string | null = null): ImportedConversation => ({
  title: 'From a file',
  model: 'chat',
  system: 'Be brief.',
  settings: { temperature: 0 },
  messages,
  leaf,
  createdAtMs: 5,
  updatedAtMs: Number.MAX_VALUE,
});

describe('a conversation from a file', () => {
  it('is kept under new ids, twice if need be, and can be found', () => {
    const { conversations, clock } = openConversations();
    const file = conversation(
      [
        message('u', null, 'user'),
        message('a', 'u', 'assistant', { model: 'm', nodes: [{ node: 'n', name: 'attic' }], ttftMs: 3 }),
        message('b', 'u', 'assistant', { state: 'streaming', createdAtMs: Number.MAX_VALUE }),
      ],
      'a',
    );
    const kept = conversations.import(file);
    const again = conversations.import(file);
    expect(again.id).not.toBe(kept.id);
    const [user, first, second] = kept.messages;
    expect(kept).toMatchObject({ title: 'From a file', model: 'chat', leaf: first?.id, updatedAtMs: clock.wallNow() });
    expect(first).toEqual({ ...file.messages[1], id: first?.id, parent: user?.id });
    expect(second).toMatchObject({ state: 'stopped', parent: user?.id, createdAtMs: clock.wallNow() });
    expect(new Set([...kept.messages, ...again.messages].map(({ id }) => id)).size).toBe(6);
    expect(conversations.list({ search: 'text of b', limit: 9 }).conversations).toHaveLength(2);
  });

  it('has no facts of an answer at what a user said', () => {
    const { conversations } = openConversations();
    const kept = conversations.import(conversation([message('u', null, 'user', { state: 'failed', model: 'm' })]));
    expect(kept.messages[0]).toMatchObject({ state: 'done' });
    expect(kept.messages[0]).not.toHaveProperty('model');
    expect(kept.leaf).toBe(kept.messages[0]?.id);
  });

  it.each<[string, readonly Message[], string | null]>([
    ['two of one id', [message('u', null, 'user'), message('u', null, 'user')], null],
    ['a parent that is nowhere', [message('u', 'x', 'user')], null],
    ['a leaf that is nowhere', [message('u', null, 'user')], 'x'],
    ['an answer to nothing', [message('a', null, 'assistant')], null],
    ['a user behind a user', [message('u', null, 'user'), message('v', 'u', 'user')], null],
    ['a circle of two', [message('u', 'a', 'user'), message('a', 'u', 'assistant')], null],
    [
      'a circle beside a tree',
      [message('r', null, 'user'), message('u', 'a', 'user'), message('a', 'u', 'assistant')],
      'r',
    ],
  ])('is refused with %s, and nothing is kept', (_what, messages, leaf) => {
    const { conversations } = openConversations();
    expect(() => conversations.import(conversation(messages, leaf))).toThrow(
      expect.objectContaining({ code: 'bad_request' }),
    );
    expect(conversations.list({ limit: 9 }).conversations).toEqual([]);
  });

  it('is refused when it is too long in all', () => {
    const { conversations } = openConversations();
    const half = 'a'.repeat(CONVERSATION_LENGTH_MAX / 2 + 1);
    const messages = ['u', 'v'].map((id) => message(id, null, 'user', { content: half }));
    expect(() => conversations.import(conversation(messages))).toThrow(
      expect.objectContaining({ code: 'bad_request' }),
    );
  });

  it('is a tree or is refused, whatever follows what', () => {
    const node = fc.record({ parent: fc.option(fc.nat(9)), isUser: fc.boolean() });
    fc.assert(
      fc.property(fc.array(node, { maxLength: 10 }), (nodes) => {
        const messages = nodes.map(({ parent, isUser }, id) =>
          message(String(id), parent === null ? null : String(parent), isUser ? 'user' : 'assistant'),
        );
        try {
          checkTree(messages, null);
        } catch (error) {
          expect(error).toBeInstanceOf(WeftError);
          return;
        }
        for (const one of messages) expect(stepsToRoot(one, messages)).toBeLessThanOrEqual(messages.length);
      }),
    );
  });
});

function stepsToRoot(from: Message, messages: readonly Message[]): number {
  let steps = 0;
  for (let at: Message | undefined = from; at !== undefined && steps <= messages.length; steps += 1) {
    const parent: string | null = at.parent;
    if (parent === null) return steps;
    at = messages.find(({ id }) => id === parent);
  }
  return Number.POSITIVE_INFINITY;
}
