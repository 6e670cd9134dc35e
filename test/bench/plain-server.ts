// The server that one would write by hand: Fastify and onnxruntime-node in one process, one `session.run` for each request.
// The contender of the `http` benchmark; started by it as a process of its own.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import Fastify from 'fastify';
import { parseManifest } from '../../models/manifest.ts';
import { loadFeatureExtraction } from '../../models/tasks/feature-extraction.ts';
import { loadTextGeneration } from '../../models/tasks/text-generation.ts';
import { modelFolder, PlainDecoder, PlainEncoder } from './plain.ts';

const SELF = fileURLToPath(import.meta.url);

/** A running plain server. */
export class PlainServer {
  readonly url: string;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, url: string) {
    this.#child = child;
    this.url = url;
  }

  static async start(threads: number): Promise<PlainServer> {
    const child = spawn(process.execPath, [SELF, 'serve', String(threads)], { stdio: ['ignore', 'pipe', 'inherit'] });
    const [line] = (await once(child.stdout as NonNullable<typeof child.stdout>, 'data')) as [Buffer];
    return new PlainServer(child, String(line).trim());
  }

  stop(): void {
    this.#child.kill();
  }
}

async function task<T>(id: string, load: (folder: string, manifest: ReturnType<typeof parseManifest>) => Promise<T>) {
  const folder = modelFolder(id);
  return load(folder, parseManifest(await readFile(join(folder, 'weft-manifest.json'), 'utf8')));
}

async function serve(threads: number): Promise<void> {
  const [encoder, decoder, texts, chats] = await Promise.all([
    PlainEncoder.open(threads),
    PlainDecoder.open(threads),
    task('Xenova/all-MiniLM-L6-v2', loadFeatureExtraction),
    task('HuggingFaceTB/SmolLM2-135M-Instruct', loadTextGeneration),
  ]);
  const server = Fastify();
  server.post<{ Body: { input: string } }>('/v1/embeddings', async ({ body }) => {
    const { ids } = texts.encode(body.input);
    const embedding = await encoder.encode(ids, 1, ids.length);
    return {
      object: 'list',
      data: [{ object: 'embedding', index: 0, embedding: [...embedding] }],
      usage: { prompt_tokens: ids.length, total_tokens: ids.length },
    };
  });
  server.post<{ Body: { messages: { role: string; content: string }[]; max_tokens: number } }>(
    '/v1/chat/completions',
    async ({ body }, reply) => {
      const prompt = chats.encode(chats.renderChat(body.messages));
      const text = chats.detokenizer();
      reply.raw.writeHead(200, { 'content-type': 'text/event-stream' });
      const send = (content: string): void => {
        const chunk = { object: 'chat.completion.chunk', choices: [{ index: 0, delta: { content } }] };
        reply.raw.write(`data: ${JSON.stringify(chunk)}\n\n`);
      };
      await decoder.generate(prompt, body.max_tokens, (id) => send(text.push([id])));
      reply.raw.end('data: [DONE]\n\n');
      return reply;
    },
  );
  process.stdout.write(`${await server.listen({ host: '127.0.0.1', port: 0 })}\n`);
}

if (process.argv[1] === SELF && process.argv[2] === 'serve') await serve(Number(process.argv[3]));
