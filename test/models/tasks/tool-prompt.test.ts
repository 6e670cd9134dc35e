import { describe, expect, it } from 'vitest';
import { ChatTemplate } from '../../../models/tasks/chat-template.ts';
import { loadTextGeneration } from '../../../models/tasks/text-generation.ts';
import { parseTokenizerConfig } from '../../../models/tasks/tokenizer-json.ts';
import type { TemplateMessage, TemplateTool } from '../../../models/tasks/tool-prompt.ts';
import { manifestOf, SMOLLM2 } from '../paths.ts';

const task = await loadTextGeneration(SMOLLM2, manifestOf(SMOLLM2));
const template = (source: unknown) =>
  new ChatTemplate(parseTokenizerConfig(Buffer.from(JSON.stringify({ chat_template: source }))));

const WEATHER: TemplateTool = {
  name: 'weather',
  description: 'Tells the weather.',
  parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
};
const QUESTION = { role: 'user', content: 'Rain in Paris?' };
const ASKED: TemplateMessage = {
  role: 'assistant',
  content: '',
  toolCalls: [{ id: 'call_1', name: 'weather', arguments: '{"city": "Paris"}' }],
};
const RESULT: TemplateMessage = { role: 'tool', content: 'Rain.', toolCallId: 'call_1' };

describe('a template that knows tools', () => {
  const dump = '{{ {"m": messages, "t": tools} | tojson }}';
  const rendered = (messages: readonly TemplateMessage[], tools: readonly TemplateTool[] = []): unknown =>
    JSON.parse(template(dump).render(messages, tools));

  it("gets tools, calls and results in the shape of Hugging Face's", () => {
    expect(rendered([QUESTION, ASKED, RESULT], [WEATHER, { name: 'now', parameters: {} }])).toEqual({
      m: [
        QUESTION,
        {
          role: 'assistant',
          content: '',
          tool_calls: [{ id: 'call_1', type: 'function', function: { name: 'weather', arguments: { city: 'Paris' } } }],
        },
        { role: 'tool', content: 'Rain.', tool_call_id: 'call_1', name: 'weather' },
      ],
      t: [
        { type: 'function', function: WEATHER },
        { type: 'function', function: { name: 'now', description: '', parameters: {} } },
      ],
    });
  });

  it('gets them as they are where no tool can be called any more', () => {
    expect(rendered([QUESTION, ASKED, RESULT])).toMatchObject({
      m: [{}, { tool_calls: [{}] }, { role: 'tool' }],
      t: null,
    });
  });

  it('is one that reads the variable, wherever it does; a member of that name is no sign', () => {
    const reads = [
      '{% if tools is defined and tools %}known{% endif %}',
      '{% for t in tools %}known{% endfor %}',
      '{% set all = [{"x": tools}] %}{{ "known" if all[0].x }}',
    ];
    for (const source of reads) expect(template(source).render([QUESTION], [WEATHER])).toBe('known');
    const plain = template(
      '{{ messages[0].tools }}{{ messages[0]["tools"] }}{% for m in messages %}{{ m.role }} {% endfor %}',
    );
    expect(plain.render([QUESTION], [WEATHER])).toBe('system user ');
  });

  it('is taken from the list by the name "tool_use" when there are tools', () => {
    const list = template([
      { name: 'default', template: 'chat' },
      { name: 'tool_use', template: '{{ tools[0].function.name }}' },
    ]);
    expect(list.render([QUESTION])).toBe('chat');
    expect(list.render([QUESTION], [WEATHER])).toBe('weather');
  });
});

describe('a template that knows no tools', () => {
  it("has them in the system message, calls as the model's text, results as the user's", () => {
    const prompt = task.renderChat(
      [{ role: 'system', content: 'Be brief.' }, QUESTION, ASKED, RESULT, { ...RESULT, content: 'Or snow.' }],
      [WEATHER],
    );
    expect(prompt).toBe(
      [
        '<|im_start|>system',
        'Be brief.',
        '',
        '# Tools',
        '',
        'You may call one or more functions to assist with the user query.',
        '',
        'You are provided with function signatures within <tools></tools> XML tags:',
        '<tools>',
        '{"type":"function","function":{"name":"weather","description":"Tells the weather.","parameters":{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}}}',
        '</tools>',
        '',
        'For each function call, answer with a JSON object of its name and arguments within <tool_call></tool_call> XML tags:',
        '<tool_call>{"name": <function name>, "arguments": <arguments as a JSON object>}</tool_call><|im_end|>',
        '<|im_start|>user',
        'Rain in Paris?<|im_end|>',
        '<|im_start|>assistant',
        '<tool_call>{"name": "weather", "arguments": {"city": "Paris"}}</tool_call><|im_end|>',
        '<|im_start|>user',
        '<tool_response>',
        'Rain.',
        '</tool_response>',
        '<tool_response>',
        'Or snow.',
        '</tool_response><|im_end|>',
        '<|im_start|>assistant',
        '',
      ].join('\n'),
    );
  });

  it('gets a system message where there was none, and none without tools', () => {
    const plain = template('{% for m in messages %}[{{ m.role }}: {{ m.content }}]{% endfor %}');
    expect(plain.render([QUESTION], [WEATHER])).toMatch(/^\[system: # Tools[\s\S]*\]\[user: Rain in Paris\?\]$/);
    const said = { ...ASKED, content: 'Let me see.', toolCalls: [{ id: 'a', name: 'now', arguments: '' }] };
    expect(plain.render([QUESTION, said, RESULT])).toBe(
      '[user: Rain in Paris?][assistant: Let me see.\n<tool_call>{"name": "now", "arguments": {}}</tool_call>]' +
        '[user: <tool_response>\nRain.\n</tool_response>]',
    );
  });
});

describe('arguments of an earlier call', () => {
  it.each(['{', '[]', '1', 'null', '"x"'])('that are no object are refused: %s', (json) => {
    const messages = [QUESTION, { ...ASKED, toolCalls: [{ id: 'a', name: 'now', arguments: json }] }];
    for (const source of ['{{ tools }}', 'plain']) {
      expect(() => template(source).render(messages)).toThrow(
        expect.objectContaining({
          code: 'bad_request',
          facts: { param: 'messages[1].tool_calls[0].function.arguments' },
        }),
      );
    }
  });
});
