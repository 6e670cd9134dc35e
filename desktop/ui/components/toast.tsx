// Notices at the edge of the screen: what has been done, or what failed away from where one looks. Read out politely; they leave by
// themselves, failures only when they are closed.
import { X } from 'lucide-react';
import { createContext, type ReactNode, useCallback, useContext, useMemo, useRef, useState } from 'react';
import { ApiError } from '../data/client.ts';
import { TOASTS_MAX } from '../data/limits.ts';
import { text } from '../text/en.ts';
import { IconButton } from './button.tsx';
import { classes } from './class-names.ts';
import { told } from './failed.tsx';

/** Time to read a line, and to notice it first. */
const SHOWN_MS = 5_000;

interface Toast {
  readonly id: number;
  readonly tone: 'good' | 'bad';
  readonly title: ReactNode;
  readonly detail: ReactNode;
}

export interface Toasts {
  /** Something has been done. */
  done(title: ReactNode, detail?: ReactNode): void;
  /** Something failed: an ApiError is told with its reason and remedy. */
  failed(title: ReactNode, error?: unknown): void;
}

const ToastContext = createContext<Toasts | undefined>(undefined);

export function useToast(): Toasts {
  const toasts = useContext(ToastContext);
  if (toasts === undefined) throw new Error('useToast needs a ToastProvider around it');
  return toasts;
}

export function ToastProvider({ children }: { readonly children: ReactNode }): ReactNode {
  const [toasts, setToasts] = useState<readonly Toast[]>([]);
  const next = useRef(0);
  const close = useCallback((id: number) => setToasts((all) => all.filter((toast) => toast.id !== id)), []);
  const show = useCallback(
    (toast: Omit<Toast, 'id'>) => {
      const id = next.current++;
      setToasts((all) => [...all, { ...toast, id }].slice(-TOASTS_MAX));
      if (toast.tone === 'good') setTimeout(() => close(id), SHOWN_MS);
    },
    [close],
  );
  const value = useMemo<Toasts>(
    () => ({
      done: (title, detail) => show({ tone: 'good', title, detail }),
      failed: (title, error) => {
        const { what, remedy } = told(error instanceof ApiError || error instanceof Error ? error : undefined);
        show({ tone: 'bad', title, detail: [what, remedy].filter(Boolean).join(' ') });
      },
    }),
    [show],
  );
  return (
    <ToastContext value={value}>
      {children}
      <div
        aria-live="polite"
        className="pointer-events-none fixed right-3 bottom-3 z-50 flex w-[min(24rem,calc(100%-24px))] flex-col gap-2 max-md:bottom-16"
      >
        {toasts.map(({ id, tone, title, detail }) => (
          <div
            key={id}
            className={classes(
              'pointer-events-auto flex animate-[appear_120ms_ease-out] items-start gap-2 rounded-lg border border-l-2 bg-panel py-2 pr-1 pl-3',
              tone === 'good' ? 'border-line-strong border-l-accent' : 'border-line-strong border-l-bad',
            )}
          >
            <div className="min-w-0 grow py-1 text-sm">
              <p className="font-medium">{title}</p>
              {detail !== undefined && detail !== '' && <p className="break-words text-muted text-xs">{detail}</p>}
            </div>
            <IconButton size="small" label={text.common.close} icon={<X />} onClick={() => close(id)} />
          </div>
        ))}
      </div>
    </ToastContext>
  );
}
