// Input of /v1/responses: items of a conversation, as clients write them and as answers gave them, read as messages.
import { z } from 'zod';
import { MESSAGES_MAX, textOfParts, textOrParts } from './chat.ts';
import { chosen, counted, custom, field, ignored, type Shape, shapeOf, UNSUPPORTED, unsupported } from './fields.ts';
import { CALL_ID_LENGTH_MAX, type InputMessage } from './tools.ts';

/** An item of an earlier answer, by its id. Whoever keeps answers puts its message in this place. */
export interface ItemReference {
  readonly reference: string;
}

/** One item of a conversation. */
export type InputItem = InputMessage | ItemReference;

/** Longest id of an answer or an item that is looked for. Ours have 29 characters at most; it comes back in errors. */
const ID_LENGTH_MAX = 128;

/** The id of an answer or of one of its items. */
export const storedId = z
  .string('must be a string')
  .min(1, 'must not be empty')
  .max(ID_LENGTH_MAX, `must have at most ${ID_LENGTH_MAX} characters`);

const TEXT_PARTS = ['input_text', 'output_text', 'text'];

const ROLES: Readonly<Record<string, InputMessage['role']>> = {
  system: 'system',
  developer: 'system',
  user: 'user',
  assistant: 'assistant',
};

const text = z.string('must be a string');
const callId = text
  .min(1, 'must not be empty')
  .max(CALL_ID_LENGTH_MAX, `must have at most ${CALL_ID_LENGTH_MAX} characters`);

/** Fields of an answer's items, which come back with them. */
const OWN = { id: ignored(), status: ignored(), caller: unsupported(), namespace: unsupported() } as const;

const MessageItem = z
  .strictObject({
    ...OWN,
    type: z.literal('message', 'must be "message"').optional(),
    role: custom(
      (value, fail): InputMessage['role'] => {
        const known = typeof value === 'string' && Object.hasOwn(ROLES, value) ? ROLES[value] : undefined;
        return known ?? fail('must be "system", "developer", "user" or "assistant"');
      },
      { enum: Object.keys(ROLES) },
    ),
    content: custom((value, fail) => textOfParts(value, TEXT_PARTS, fail), textOrParts(TEXT_PARTS)),
    phase: ignored(),
  })
  .transform(({ role, content }): InputMessage => ({ role, content }));

const CallItem = z
  .strictObject({
    ...OWN,
    type: z.literal('function_call'),
    call_id: callId,
    name: text,
    arguments: text,
    parsed_arguments: ignored(),
    async: unsupported('is not supported', (value) => value === false),
  })
  .transform(
    ({ call_id: id, name, arguments: given }): InputMessage => ({
      role: 'assistant',
      content: '',
      toolCalls: [{ id, name, arguments: given }],
    }),
  );

const OutputItem = z
  .strictObject({
    ...OWN,
    type: z.literal('function_call_output'),
    call_id: callId,
    name: ignored(),
    output: custom((value, fail) => textOfParts(value, TEXT_PARTS, fail), textOrParts(TEXT_PARTS)),
  })
  .transform(({ call_id: toolCallId, output }): InputMessage => ({ role: 'tool', content: output, toolCallId }));

const ReferenceItem = z
  .strictObject({ type: z.literal('item_reference').nullish(), id: storedId })
  .transform(({ id: reference }): ItemReference => ({ reference }));

const ITEMS: Readonly<Record<string, z.ZodType<InputItem>>> = {
  message: MessageItem,
  function_call: CallItem,
  function_call_output: OutputItem,
  item_reference: ReferenceItem,
};

/** Of an item that doesn't say: a reference may leave its type out too, and has nothing but an id. */
const usualType = (value: unknown): string =>
  field(value, 'id') !== undefined && field(value, 'role') === undefined ? 'item_reference' : 'message';

const Item = chosen(
  (value, fail): z.ZodType<InputItem> => {
    const type = field(value, 'type') ?? usualType(value);
    if (typeof type === 'string' && Object.hasOwn(ITEMS, type)) return ITEMS[type] ?? MessageItem;
    const names = Object.keys(ITEMS).map((name) => `"${name}"`);
    const text = `must be ${names.slice(0, -1).join(', ')} or ${names.at(-1)}: other items are not supported`;
    return fail(text, ['type'], UNSUPPORTED);
  },
  {
    get anyOf(): readonly Shape[] {
      return Object.values(ITEMS).map(shapeOf);
    },
  },
);

/**
 * The messages of a whole conversation, from its items. Calls that follow each other, or the text before them, are one
 * message of the assistant: templates want it so.
 * @param items one by one, as they came: what is merged already is not to be merged again
 */
export function mergeItems(items: readonly InputMessage[]): readonly InputMessage[] {
  const messages: InputMessage[] = [];
  for (const item of items) {
    const last = messages.at(-1);
    if (item.toolCalls !== undefined && last?.role === 'assistant') {
      messages[messages.length - 1] = { ...last, toolCalls: [...(last.toolCalls ?? []), ...item.toolCalls] };
    } else messages.push(item);
  }
  return messages;
}

const Text = z.string().transform((content): readonly InputItem[] => [{ role: 'user', content }]);

const Items = counted(Item, {
  what: 'items',
  text: 'must be a string or an array of items',
  min: 1,
  max: MESSAGES_MAX,
});

/** A string, or items. */
export const input = chosen((value): z.ZodType<readonly InputItem[]> => (typeof value === 'string' ? Text : Items), {
  get anyOf(): readonly Shape[] {
    return [Text, Items].map(shapeOf);
  },
});
