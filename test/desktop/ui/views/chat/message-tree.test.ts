// Which branch of a conversation is shown, and which others there are.
import { describe, expect, test } from 'vitest';
import { branchOf, leafUnder, withMessages } from '../../../../../desktop/ui/views/chat/message-tree.ts';
import type { Conversation, ConversationMessage } from '../../../../../protocol/api/control.ts';

const message = (id: string, parent: string | null, role: 'user' | 'assistant'): ConversationMessage => ({
  id,
  parent,
  role,
  content: id,
  state: 'done',
  createdAtMs: 0,
});

/** One question with two answers; the first goes on with two forms of a second question. */
const MESSAGES = [
  message('q1', null, 'user'),
  message('a1', 'q1', 'assistant'),
  message('a2', 'q1', 'assistant'),
  message('q2', 'a1', 'user'),
  message('b1', 'q2', 'assistant'),
  message('q3', 'a1', 'user'),
  message('b2', 'q3', 'assistant'),
];

const CONVERSATION: Conversation = {
  id: 'conv_1',
  title: '',
  model: null,
  system: '',
  settings: {},
  messages: MESSAGES,
  leaf: 'b1',
  createdAtMs: 0,
  updatedAtMs: 0,
};

const idsOf = (conversation: Pick<Conversation, 'messages' | 'leaf'>): readonly string[] =>
  branchOf(conversation).map(({ message: { id } }) => id);

describe('the shown branch', () => {
  test('leads from the first message to the leaf, each with what stands in its place', () => {
    expect(idsOf(CONVERSATION)).toEqual(['q1', 'a1', 'q2', 'b1']);
    expect(branchOf(CONVERSATION).map(({ siblings }) => siblings.map(({ id }) => id))).toEqual([
      ['q1'],
      ['a1', 'a2'],
      ['q2', 'q3'],
      ['b1'],
    ]);
  });

  test('is empty without a leaf, and ends where messages lead in a circle', () => {
    expect(idsOf({ messages: MESSAGES, leaf: null })).toEqual([]);
    const circle = [message('x', 'y', 'user'), message('y', 'x', 'assistant')];
    expect(branchOf({ messages: circle, leaf: 'x' }).length).toBeLessThanOrEqual(2);
  });

  test('of another answer is the newest that follows it', () => {
    expect(leafUnder(MESSAGES, 'a1')).toBe('b2');
    expect(leafUnder(MESSAGES, 'q2')).toBe('b1');
    expect(leafUnder(MESSAGES, 'a2')).toBe('a2');
  });
});

test('a message takes the place of the one with its id, and new ones come behind', () => {
  const next = withMessages(
    CONVERSATION,
    [{ ...message('b1', 'q2', 'assistant'), content: 'other' }, message('new', 'b1', 'user')],
    'new',
  );
  expect(next.messages.map(({ id }) => id)).toEqual([...MESSAGES.map(({ id }) => id), 'new']);
  expect(next.messages.find(({ id }) => id === 'b1')?.content).toBe('other');
  expect(next.leaf).toBe('new');
});
