// Dialogs: a question or a form in front of the page. Radix keeps the focus inside and gives it back; Escape closes. The overlay is our
// own element: Radix's brings a style element, and the pages do without inline ones.
import { X } from 'lucide-react';
import { Dialog as Radix } from 'radix-ui';
import { type ReactNode, useState } from 'react';
import { text } from '../text/en.ts';
import { Button } from './button.tsx';
import { classes } from './class-names.ts';

export interface DialogProps {
  readonly open: boolean;
  readonly onClose: () => void;
  readonly title: ReactNode;
  /** One sentence below the title. */
  readonly description?: ReactNode;
  readonly children?: ReactNode;
  /** Buttons at the lower edge, the primary one last. */
  readonly footer?: ReactNode;
  /** @default 'medium' */
  readonly size?: 'small' | 'medium' | 'large';
}

const SIZES = { small: 'sm:max-w-sm', medium: 'sm:max-w-lg', large: 'sm:max-w-3xl' } as const;

export function Dialog({
  open,
  onClose,
  title,
  description,
  children,
  footer,
  size = 'medium',
}: DialogProps): ReactNode {
  return (
    <Radix.Root open={open} onOpenChange={(next) => !next && onClose()}>
      <Radix.Portal>
        <div aria-hidden className="fixed inset-0 z-40 animate-[appear_120ms_ease-out] bg-shade" />
        <Radix.Content
          data-dialog
          onOpenAutoFocus={(event) => {
            // A form begins at its first field, a question at its text.
            const content = event.currentTarget as HTMLElement;
            event.preventDefault();
            (content.querySelector<HTMLElement>('input, textarea, select, [data-autofocus]') ?? content).focus();
          }}
          {...(description === undefined ? { 'aria-describedby': undefined } : {})}
          className={classes(
            'fixed inset-x-0 bottom-0 z-40 flex max-h-[92dvh] w-full animate-[appear_120ms_ease-out] flex-col border-line bg-panel outline-none',
            'rounded-t-lg border-t sm:top-[12dvh] sm:bottom-auto sm:mx-auto sm:max-h-[76dvh] sm:w-[calc(100%-32px)] sm:rounded-lg sm:border',
            SIZES[size],
          )}
        >
          <header className="flex items-start gap-3 px-5 pt-4 pb-3">
            <div className="min-w-0 grow">
              <Radix.Title className="font-semibold text-base">{title}</Radix.Title>
              {description !== undefined && (
                <Radix.Description className="mt-1 text-muted text-sm">{description}</Radix.Description>
              )}
            </div>
            {/* Without a tip: Escape would close the tip first. */}
            <Radix.Close asChild>
              <Button kind="quiet" aria-label={text.common.close} icon={<X />} className="-mr-2 w-8 px-0" />
            </Radix.Close>
          </header>
          {children !== undefined && <div className="min-h-0 grow overflow-y-auto px-5 pb-5">{children}</div>}
          {footer !== undefined && (
            <footer className="flex flex-wrap justify-end gap-2 border-line border-t px-5 py-3">{footer}</footer>
          )}
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  );
}

export interface ConfirmDialogProps {
  readonly open: boolean;
  readonly onClose: () => void;
  readonly title: ReactNode;
  /** What will be so afterwards, and what can't be undone. */
  readonly description: ReactNode;
  /** The verb on the button. */
  readonly action: string;
  /** Closes when it is done; what it throws is shown in the dialog. */
  readonly onConfirm: () => Promise<unknown> | undefined;
  readonly danger?: boolean;
  readonly children?: ReactNode;
}

/** Asks before something that can't be taken back. */
export function ConfirmDialog({
  onConfirm,
  action,
  danger = false,
  children,
  ...dialog
}: ConfirmDialogProps): ReactNode {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string>();
  const close = (): void => {
    setProblem(undefined);
    dialog.onClose();
  };
  const confirm = async (): Promise<void> => {
    setBusy(true);
    setProblem(undefined);
    try {
      await onConfirm();
      close();
    } catch (error) {
      setProblem(error instanceof Error && error.message !== '' ? error.message : text.common.failedPlain);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Dialog
      {...dialog}
      onClose={close}
      size="small"
      footer={
        <>
          <Button onClick={close}>{text.common.cancel}</Button>
          <Button kind={danger ? 'danger' : 'primary'} busy={busy} onClick={() => void confirm()}>
            {action}
          </Button>
        </>
      }
    >
      {children}
      {problem !== undefined && (
        <p role="alert" className="mt-2 text-bad text-sm">
          {problem}
        </p>
      )}
    </Dialog>
  );
}
