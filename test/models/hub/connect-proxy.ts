// A small HTTP proxy for tests: CONNECT for https, absolute addresses for http. Names lead where the test says.
import { createServer, request as forward, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';

export interface ConnectProxy {
  readonly url: string;
  /** `CONNECT host:port` and `GET http://…`, in order. */
  readonly requests: readonly string[];
  close(): Promise<void>;
}

export interface ConnectProxyInit {
  /** Port on this machine for a `host:port`. @default the port itself */
  readonly route?: (authority: string) => number | undefined;
  /** Answers every request with this status instead. */
  readonly refuse?: number;
}

export async function startProxy({ route, refuse }: ConnectProxyInit = {}): Promise<ConnectProxy> {
  const requests: string[] = [];
  const sockets = new Set<Socket>();
  const portOf = (authority: string): number => route?.(authority) ?? Number(authority.split(':').at(-1));
  const server: Server = createServer((request, response) => {
    requests.push(`${request.method} ${request.url}`);
    if (refuse !== undefined) {
      response.writeHead(refuse).end();
      return;
    }
    const { host, pathname, search } = new URL(request.url ?? '');
    const onward = forward(
      { host: '127.0.0.1', port: portOf(host), path: pathname + search, headers: request.headers },
      (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(response);
      },
    );
    onward.on('error', () => response.destroy());
    request.pipe(onward);
  });
  server.on('connect', (request, client: Socket) => {
    requests.push(`CONNECT ${request.url}`);
    if (refuse !== undefined) return client.end(`HTTP/1.1 ${refuse} No\r\ncontent-length: 0\r\n\r\n`);
    const target = connect(portOf(request.url ?? ''), '127.0.0.1', () => {
      client.write('HTTP/1.1 200 Connection established\r\n\r\n');
      target.pipe(client);
      client.pipe(target);
    });
    for (const [socket, other] of [
      [client, target],
      [target, client],
    ] as const) {
      sockets.add(socket);
      socket.on('error', () => other.destroy());
      socket.on('close', () => other.destroy());
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    async close() {
      for (const socket of sockets) socket.destroy();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
