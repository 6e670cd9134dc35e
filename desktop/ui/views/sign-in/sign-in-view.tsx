// The sign-in page: by a one-time link, whose token stands in the address, or by the API key; and what to type to get either.
import { type ReactNode, useEffect, useState } from 'react';
import { useLocation } from 'wouter';
import { AlonePage } from '../../app/alone.tsx';
import { Button } from '../../components/button.tsx';
import { CodeBlock } from '../../components/code-block.tsx';
import { Failed, told } from '../../components/failed.tsx';
import { Field, Input } from '../../components/field.tsx';
import { api } from '../../data/client.ts';
import { signedIn, wayBack } from '../../data/session.ts';
import { text } from '../../text/en.ts';

/** Attempts by token: it works once, and React may run an effect twice. */
const attempts = new Map<string, Promise<unknown>>();

const PREFIX = '/sign-in/';

export function SignInView(): ReactNode {
  const [location, navigate] = useLocation();
  const token = location.startsWith(PREFIX) ? location.slice(PREFIX.length) : '';
  const [linkError, setLinkError] = useState<unknown>();

  useEffect(() => {
    if (token === '') return;
    const attempt = attempts.get(token) ?? api.signIn({ token });
    attempts.set(token, attempt);
    let shown = true;
    attempt.then(
      () => {
        if (!shown) return;
        signedIn();
        navigate(wayBack(), { replace: true });
      },
      (error: unknown) => shown && setLinkError(error),
    );
    return () => {
      shown = false;
    };
  }, [token, navigate]);

  if (token !== '' && linkError === undefined) {
    return (
      <AlonePage title={text.signIn.byLink}>
        <div role="status" aria-label={text.common.loading} className="thread-busy mt-4 h-0.5 w-40" />
      </AlonePage>
    );
  }
  return (
    <AlonePage title={text.signIn.title}>
      <p className="text-muted">{text.signIn.intro}</p>
      {linkError !== undefined && (
        <div className="mt-5">
          <Failed title={text.signIn.linkFailed} error={linkError} />
          <p className="mt-2 text-muted text-sm">{text.signIn.linkFailedHow}</p>
        </div>
      )}
      <section className="mt-7">
        <h2 className="font-semibold text-sm">{text.signIn.linkTitle}</h2>
        <p className="mt-1 mb-2 text-muted">{text.signIn.linkHow}</p>
        <CodeBlock prompt="$" code={text.signIn.linkCommand} copyLabel={text.signIn.copyCommand} />
        <p className="mt-3 mb-2 text-muted">{text.signIn.linkElsewhere}</p>
        <CodeBlock prompt="$" code={text.signIn.linkElsewhereCommand} copyLabel={text.signIn.copyCommand} />
      </section>
      <KeyForm onDone={() => navigate(wayBack(), { replace: true })} />
    </AlonePage>
  );
}

function KeyForm({ onDone }: { readonly onDone: () => void }): ReactNode {
  const [key, setKey] = useState('');
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState('');

  const submit = async (): Promise<void> => {
    if (key.trim() === '') {
      setProblem(text.signIn.keyMissing);
      return;
    }
    setBusy(true);
    setProblem('');
    try {
      await api.signIn({ key: key.trim() });
      signedIn();
      onDone();
    } catch (error) {
      const { what, remedy } = told(error);
      setProblem(`${text.signIn.keyFailed}: ${what} ${remedy}`.trim());
      setBusy(false);
    }
  };

  return (
    <section className="mt-8 border-line border-t pt-6">
      <h2 className="mb-2 font-semibold text-sm">{text.signIn.keyTitle}</h2>
      <form
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          void submit();
        }}
      >
        <Field label={text.signIn.keyLabel} hint={text.signIn.keyHint} error={problem}>
          <Input type="password" value={key} onChange={({ target }) => setKey(target.value)} />
        </Field>
        <Button type="submit" kind="primary" busy={busy} className="mt-3">
          {text.signIn.keySubmit}
        </Button>
      </form>
    </section>
  );
}
