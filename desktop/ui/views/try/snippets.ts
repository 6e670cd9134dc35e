// The same request as code to copy. The key never stands in it: it is read from the environment. Pure.

export interface SnippetRequest {
  /** Such as `http://127.0.0.1:9338`. */
  readonly baseUrl: string;
  readonly path: string;
  readonly body: Readonly<Record<string, unknown>>;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Snippet {
  readonly id: 'curl' | 'python' | 'javascript';
  readonly title: string;
  readonly code: string;
}

export const snippetsOf = (request: SnippetRequest): readonly Snippet[] => [
  { id: 'curl', title: 'curl', code: curl(request) },
  { id: 'python', title: 'Python', code: python(request) },
  { id: 'javascript', title: 'JavaScript', code: javascript(request) },
];

function curl({ baseUrl, path, body, headers = {} }: SnippetRequest): string {
  const lines = [
    `curl ${quoted(baseUrl + path)}`,
    '-H "authorization: Bearer $WEFT_API_KEY"',
    "-H 'content-type: application/json'",
    ...Object.entries(headers).map(([name, value]) => `-H ${quoted(`${name}: ${value}`)}`),
    `-d ${quoted(JSON.stringify(body, null, 2))}`,
  ];
  return lines.join(' \\\n  ');
}

function python(request: SnippetRequest): string {
  const { baseUrl, path, body, headers = {} } = request;
  const call = CLIENT_CALLS[path];
  if (call !== undefined && Object.keys(headers).length === 0) {
    const { stream: _stream, stream_options: _options, ...fields } = body;
    return [
      'import os',
      'from openai import OpenAI',
      '',
      `client = OpenAI(base_url=${pythonOf(`${baseUrl}/v1`)}, api_key=os.environ["WEFT_API_KEY"])`,
      `answer = client.${call}(`,
      ...Object.entries(fields).map(([name, value]) => `    ${name}=${pythonOf(value)},`),
      ')',
      'print(answer)',
    ].join('\n');
  }
  const sent = { authorization: '', ...headers };
  return [
    'import os',
    'import requests',
    '',
    'answer = requests.post(',
    `    ${pythonOf(baseUrl + path)},`,
    '    headers={',
    ...Object.entries(sent).map(([name, value]) =>
      name === 'authorization'
        ? '        "authorization": f"Bearer {os.environ[\'WEFT_API_KEY\']}",'
        : `        ${pythonOf(name)}: ${pythonOf(value)},`,
    ),
    '    },',
    `    json=${pythonOf(body)},`,
    ')',
    'answer.raise_for_status()',
    'print(answer.json())',
  ].join('\n');
}

/** Endpoints that OpenAI's own client knows. */
const CLIENT_CALLS: Readonly<Record<string, string>> = {
  '/v1/chat/completions': 'chat.completions.create',
  '/v1/completions': 'completions.create',
  '/v1/embeddings': 'embeddings.create',
};

function javascript({ baseUrl, path, body, headers = {} }: SnippetRequest): string {
  const { stream: _stream, stream_options: _options, ...fields } = body;
  return [
    `const response = await fetch(${JSON.stringify(baseUrl + path)}, {`,
    "  method: 'POST',",
    '  headers: {',
    `    authorization: \`Bearer \${process.env.WEFT_API_KEY}\`,`,
    "    'content-type': 'application/json',",
    ...Object.entries(headers).map(([name, value]) => `    ${JSON.stringify(name)}: ${JSON.stringify(value)},`),
    '  },',
    `  body: JSON.stringify(${JSON.stringify(fields, null, 2).replaceAll('\n', '\n  ')}),`,
    '});',
    'if (!response.ok) throw new Error(await response.text());',
    'console.log(await response.json());',
  ].join('\n');
}

/** For a POSIX shell: nothing within it means anything. */
const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

/** JSON is Python but for its three words. */
function pythonOf(value: unknown): string {
  if (value === true) return 'True';
  if (value === false) return 'False';
  if (value === null || value === undefined) return 'None';
  if (Array.isArray(value)) return `[${value.map(pythonOf).join(', ')}]`;
  if (typeof value === 'object') {
    const fields = Object.entries(value).filter(([, field]) => field !== undefined);
    return `{${fields.map(([name, field]) => `${JSON.stringify(name)}: ${pythonOf(field)}`).join(', ')}}`;
  }
  return JSON.stringify(value);
}
