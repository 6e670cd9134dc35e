// Programs at a real terminal: Python's pty module makes one, since Node has none of its own. Tests that need it are
// skipped, visibly, where there is no python3.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../../node/cli/main.ts', import.meta.url));

/** Starts argv[1:] at a terminal of 80 × 24, passes bytes both ways, and says at the end how the program left it. */
const PYTHON = `
import fcntl, json, os, pty, select, signal, struct, sys, termios
master, slave = pty.openpty()
fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack('HHHH', 24, 80, 0, 0))
before = termios.tcgetattr(slave)
pid = os.fork()
if pid == 0:
    os.close(master)
    os.login_tty(slave) if hasattr(os, 'login_tty') else None
    if not hasattr(os, 'login_tty'):
        os.setsid()
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
        for fd in (0, 1, 2): os.dup2(slave, fd)
    os.execvp(sys.argv[1], sys.argv[1:])
signal.signal(signal.SIGTERM, lambda *_: os.kill(pid, signal.SIGTERM))
inputs = [0, master]
status = None
while True:
    try:
        ready = select.select(inputs, [], [], 0.05)[0]
    except InterruptedError:
        continue
    if 0 in ready:
        data = os.read(0, 65536)
        if data: os.write(master, data)
        else: inputs.remove(0)
    if master in ready:
        os.write(1, os.read(master, 65536))
    elif status is None:
        ended, value = os.waitpid(pid, os.WNOHANG)
        if ended: status = value
    else:
        break
after = termios.tcgetattr(slave)
os.write(2, json.dumps({'code': os.waitstatus_to_exitcode(status), 'restored': before[:4] == after[:4]}).encode())
`;

/** True where a terminal can be made. */
export const hasPseudoTerminal =
  process.platform !== 'win32' && spawnSync('python3', ['-c', 'import pty, termios']).status === 0;

/** How a program ended at its terminal. */
export interface TerminalEnd {
  readonly code: number;
  /** The terminal's modes are as they were before. */
  readonly restored: boolean;
}

export interface Terminal {
  type(text: string): void;
  /** Asks the program to end. */
  terminate(): void;
  /** All that the program has written. */
  screen(): string;
  /** Resolves when the program has written this, so many times. */
  shows(text: string, times?: number): Promise<void>;
  readonly ended: Promise<TerminalEnd>;
}

/** `weft` with these arguments at a terminal of 80 × 24. */
export function weftAtTerminal(args: readonly string[], env: Readonly<Record<string, string>> = {}): Terminal {
  const child: ChildProcess = spawn('python3', ['-c', PYTHON, process.execPath, MAIN, ...args], {
    env: { PATH: process.env.PATH, HOME: process.env.HOME, TERM: 'xterm-256color', ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let screen = '';
  let report = '';
  let waiting: (() => void)[] = [];
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    screen += text;
    for (const check of waiting.splice(0)) check();
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    report += text;
  });
  return {
    type: (text) => void child.stdin?.write(text),
    terminate: () => void child.kill('SIGTERM'),
    screen: () => screen,
    shows: (text, times = 1) =>
      new Promise((resolve) => {
        const check = () => {
          if (screen.split(text).length > times) resolve();
          else waiting = [...waiting, check];
        };
        check();
      }),
    ended: once(child, 'close').then(() => JSON.parse(report) as TerminalEnd),
  };
}
