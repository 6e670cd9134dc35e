// What a runner's JavaScript holds after a collection, read through its inspector while it works: the heap, and the
// buffers outside of it, where keys and values lie.
import { freePort } from '../support/free-port.ts';
import { until } from '../support/wait.ts';

interface Reply {
  readonly id?: number;
  readonly result?: { readonly result?: { readonly value?: unknown } };
}

/** Runs `start` so that runners which it starts can be inspected. @returns what it gave, and the port to ask on */
export async function inspectable<T>(start: () => Promise<T>): Promise<{ readonly value: T; readonly port: number }> {
  const port = await freePort();
  const before = process.env.NODE_OPTIONS;
  process.env.NODE_OPTIONS = `${before ?? ''} --inspect-port=127.0.0.1:${port}`.trim();
  try {
    return { value: await start(), port };
  } finally {
    if (before === undefined) delete process.env.NODE_OPTIONS;
    else process.env.NODE_OPTIONS = before;
  }
}

/**
 * Collects garbage in a runner and asks what is left. Not on Windows, where a process has no signal for it.
 * @param port of {@link inspectable}
 * @returns heap + external in bytes
 */
export async function heapAndExternal(pid: number, port: number): Promise<number> {
  process.kill(pid, 'SIGUSR1');
  const url = await until('the inspector of the runner', async () => {
    const [target] = (await (await fetch(`http://127.0.0.1:${port}/json/list`)).json()) as {
      readonly webSocketDebuggerUrl: string;
    }[];
    return target?.webSocketDebuggerUrl;
  });
  const socket = new WebSocket(url);
  const replies = new Map<number, (reply: Reply) => void>();
  socket.addEventListener('message', ({ data }) => {
    const reply = JSON.parse(String(data)) as Reply;
    if (reply.id !== undefined) replies.get(reply.id)?.(reply);
  });
  await new Promise((resolve, reject) => {
    socket.addEventListener('open', resolve);
    socket.addEventListener('error', () => reject(new Error('The inspector of the runner takes no connection.')));
  });
  const ask = (method: string, params: object = {}): Promise<Reply> =>
    new Promise((resolve) => {
      const id = replies.size + 1;
      replies.set(id, resolve);
      socket.send(JSON.stringify({ id, method, params }));
    });
  try {
    // Twice: what the first one finalises is gone after the second.
    for (let turn = 0; turn < 2; turn++) await ask('HeapProfiler.collectGarbage');
    const expression = '(({ heapUsed, external }) => heapUsed + external)(process.memoryUsage())';
    const { result } = await ask('Runtime.evaluate', { expression, returnByValue: true });
    const bytes = result?.result?.value;
    if (typeof bytes !== 'number') throw new Error('The runner does not say what it holds.');
    return bytes;
  } finally {
    socket.close();
  }
}
