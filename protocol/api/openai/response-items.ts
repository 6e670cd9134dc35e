// Input of /v1/responses: items of a conversation, as clients write them and as answers gave them, read as messages.
import { z } from 'zod';
import { MESSAGES_MAX, textOfParts, textOrParts } from './chat.ts';
import { chosen, counted, custom, field, ignored, type Shape, shapeOf, UNSUPPORTED, unsupported } from './fields.ts';
import { CALL_ID_LENGTH_MAX, type InputMessage } from './tools.ts';

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

const ITEMS: Readonly<Record<string, z.ZodType<InputMessage>>> = {
  message: MessageItem,
  function_call: CallItem,
  function_call_output: OutputItem,
};

const Item = chosen(
  (value, fail): z.ZodType<InputMessage> => {
    const type = field(value, 'type') ?? 'message';
    if (typeof type === 'string' && Object.hasOwn(ITEMS, type)) return ITEMS[type] ?? MessageItem;
    if (type === 'item_reference') {
      const remedy = 'Send the item itself; the AI SDK does so with "store: false".';
      return fail('is not supported: answers are not stored', ['type'], { ...UNSUPPORTED, remedy });
    }
    const text = 'must be "message", "function_call" or "function_call_output": other items are not supported';
    return fail(text, ['type'], UNSUPPORTED);
  },
  {
    get anyOf(): readonly Shape[] {
      return Object.values(ITEMS).map(shapeOf);
    },
  },
);

/** Calls that follow each other, or the text before them, are one message of the assistant: templates want it so. */
function merged(items: readonly InputMessage[]): readonly InputMessage[] {
  const messages: InputMessage[] = [];
  for (const item of items) {
    const last = messages.at(-1);
    if (item.toolCalls !== undefined && last?.role === 'assistant') {
      messages[messages.length - 1] = { ...last, toolCalls: [...(last.toolCalls ?? []), ...item.toolCalls] };
    } else messages.push(item);
  }
  return messages;
}

const Text = z.string().transform((content): readonly InputMessage[] => [{ role: 'user', content }]);

const Items = counted(Item, {
  what: 'items',
  text: 'must be a string or an array of items',
  min: 1,
  max: MESSAGES_MAX,
}).transform(merged);

/** A string, or items. */
export const input = chosen((value): z.ZodType<readonly InputMessage[]> => (typeof value === 'string' ? Text : Items), {
  get anyOf(): readonly Shape[] {
    return [Text, Items].map(shapeOf);
  },
});
