// Restarting a node: asked for by a person who has agreed, then followed until it is back.
import { RotateCw, X } from 'lucide-react';
import { type ReactNode, useEffect, useState } from 'react';
import { Button, IconButton } from '../../components/button.tsx';
import { classes } from '../../components/class-names.ts';
import { ConfirmDialog } from '../../components/dialog.tsx';
import { useToast } from '../../components/toast.tsx';
import { api } from '../../data/client.ts';
import { useConnection, useEvents } from '../../data/events.ts';
import { nodePath } from '../../data/queries.ts';
import { text } from '../../text/en.ts';
import { duration, safeName } from '../../text/format.ts';
import { RESTART_STEPS, type RestartRun, stepRestart } from './restart-model.ts';

/** After this the page says that something is wrong there. */
const LONG_MS = 45_000;

export interface Restart {
  readonly run: RestartRun | undefined;
  readonly begin: () => Promise<void>;
  readonly dismiss: () => void;
}

/**
 * @param node undefined: the node behind the page
 * @param there it can be reached now
 */
export function useRestart(node: string | undefined, there: boolean): Restart {
  const [run, setRun] = useState<RestartRun>();
  const connection = useConnection();
  useEvents('node', (events) => {
    const own = events.filter(({ data }) => data.node === node);
    if (own.length === 0) return;
    setRun((before) => own.reduce((at, { data, atMs }) => stepRestart(at, data.state === 'connected', atMs), before));
  });
  const seen = node === undefined ? connection === 'live' : there;
  useEffect(() => setRun((before) => stepRestart(before, seen, Date.now())), [seen]);
  return {
    run,
    begin: async () => {
      // Before it is asked: it may be gone before its answer has been read.
      setRun({ step: 'asked', beganAtMs: Date.now(), endedAtMs: undefined });
      try {
        await api.post(nodePath('restart', node), {});
      } catch (error) {
        setRun(undefined);
        throw error;
      }
    },
    dismiss: () => setRun(undefined),
  };
}

export interface RestartButtonProps {
  readonly name: string;
  readonly restart: Restart;
  readonly disabled?: boolean;
  readonly small?: boolean;
}

export function RestartButton({ name, restart, disabled = false, small = false }: RestartButtonProps): ReactNode {
  const [asking, setAsking] = useState(false);
  const under = restart.run !== undefined && restart.run.step !== 'back';
  return (
    <>
      <Button
        size={small ? 'small' : 'medium'}
        icon={<RotateCw />}
        disabled={disabled}
        busy={under}
        onClick={() => setAsking(true)}
      >
        {text.nodes.restart}
      </Button>
      <ConfirmDialog
        open={asking}
        onClose={() => setAsking(false)}
        title={text.nodes.restartTitle(safeName(name))}
        description={text.nodes.restartText}
        action={text.nodes.restart}
        onConfirm={restart.begin}
      />
    </>
  );
}

/** Where a restart is: asked, gone, back. */
export function RestartProgress({ name, restart }: { readonly name: string; readonly restart: Restart }): ReactNode {
  const { run, dismiss } = restart;
  const toast = useToast();
  const [long, setLong] = useState(false);
  const shown = safeName(name);
  const took = run?.endedAtMs === undefined ? undefined : duration(run.endedAtMs - run.beganAtMs);
  // biome-ignore lint/correctness/useExhaustiveDependencies: told once, when it is back
  useEffect(() => {
    if (took !== undefined) toast.done(text.nodes.restarted(shown, took));
  }, [took]);
  const step = run?.step;
  useEffect(() => {
    setLong(false);
    if (step === undefined || step === 'back') return;
    const timer = setTimeout(() => setLong(true), LONG_MS);
    return () => clearTimeout(timer);
  }, [step]);
  if (run === undefined) return null;
  const at = RESTART_STEPS.indexOf(run.step);
  return (
    <section
      aria-label={text.nodes.restarting(shown)}
      data-restart={run.step}
      className="mb-4 rounded-lg border border-line bg-panel px-4 py-3"
    >
      <div className="flex items-start gap-4">
        <div className="min-w-0 grow">
          <p role="status" className="font-medium text-sm">
            <bdi>{took === undefined ? text.nodes.restarting(shown) : text.nodes.restarted(shown, took)}</bdi>
          </p>
          <ol className="mt-3 flex max-w-md">
            {RESTART_STEPS.map((each, place) => (
              <li
                key={each}
                aria-current={place === at ? 'step' : undefined}
                className={classes('flex items-center gap-2 text-xs', place < RESTART_STEPS.length - 1 && 'grow')}
              >
                <span
                  aria-hidden
                  className={classes(
                    'size-2.5 shrink-0 rounded-full border-2',
                    place <= at ? 'border-accent bg-accent' : 'border-line-strong',
                  )}
                />
                <span className={place <= at ? 'text-ink' : 'text-faint'}>{text.nodes.restartSteps[each]}</span>
                {place < RESTART_STEPS.length - 1 && (
                  <span
                    aria-hidden
                    className={classes(
                      'mr-2 h-0.5 grow',
                      place < at ? 'bg-accent' : place === at ? 'thread-busy' : 'bg-line',
                    )}
                  />
                )}
              </li>
            ))}
          </ol>
        </div>
        {(run.step === 'back' || long) && (
          <IconButton size="small" label={text.nodes.dismiss} icon={<X />} onClick={dismiss} />
        )}
      </div>
      {long && <p className="mt-3 text-sm">{text.nodes.restartLong}</p>}
    </section>
  );
}
