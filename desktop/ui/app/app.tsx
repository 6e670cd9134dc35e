// The whole app: what every view stands in, which view that is, and who may see it.
import { QueryClientProvider } from '@tanstack/react-query';
import { type ReactNode, Suspense, useEffect, useState } from 'react';
import { Route, Router, Switch, useLocation } from 'wouter';
import { useHashLocation } from 'wouter/use-hash-location';
import { Skeleton } from '../components/empty.tsx';
import { lazyFile } from '../components/lazy-file.tsx';
import { ToastProvider } from '../components/toast.tsx';
import { TooltipProvider } from '../components/tooltip.tsx';
import { type SignedIn, useSignedIn, wayBack } from '../data/session.ts';
import { queryClient } from '../data/store.ts';
import { Desktop } from './desktop.tsx';
import { ErrorBoundary } from './error-boundary.tsx';
import { useFirstRun } from './first-run.ts';
import { useAppKeys } from './keyboard.ts';
import { KeysDialog } from './keys-dialog.tsx';
import { NotFound } from './not-found.tsx';
import { ROUTES, SignInView, WelcomeView } from './routes.ts';
import { Shell } from './shell.tsx';

const Palette = lazyFile(() => import('./palette.tsx').then((file) => file.Palette));

export function App(): ReactNode {
  return (
    <QueryClientProvider client={queryClient}>
      <Router hook={useHashLocation}>
        <TooltipProvider>
          <ToastProvider>
            <Gate />
          </ToastProvider>
        </TooltipProvider>
      </Router>
    </QueryClientProvider>
  );
}

/** Sign-in and first run stand alone; everything else stands in the shell, once the node has taken this page in. */
function Gate(): ReactNode {
  const state = useSignedIn();
  const [location, navigate] = useLocation();
  const atSignIn = location === '/sign-in' || location.startsWith('/sign-in/');
  useSignInRedirect(state, atSignIn, navigate);
  if (atSignIn)
    return (
      <Alone resetKey={location}>
        <SignInView />
      </Alone>
    );
  if (state !== 'yes') return <Waiting />;
  if (location === '/welcome')
    return (
      <Alone resetKey={location}>
        <WelcomeView />
      </Alone>
    );
  // What the frame itself can't draw must not leave an empty page.
  return (
    <ErrorBoundary resetKey={location}>
      <Inside location={location} />
    </ErrorBoundary>
  );
}

function useSignInRedirect(
  state: SignedIn,
  atSignIn: boolean,
  navigate: (to: string, options?: { replace: boolean }) => void,
): void {
  useEffect(() => {
    if (state === 'no' && !atSignIn) navigate('/sign-in', { replace: true });
    // With a link of its own the sign-in view decides: the link may be for another person.
    if (state === 'yes' && location.hash === '#/sign-in') navigate(wayBack(), { replace: true });
  }, [state, atSignIn, navigate]);
}

function Inside({ location }: { readonly location: string }): ReactNode {
  useFirstRun();
  const [palette, setPalette] = useState(false);
  const [keys, setKeys] = useState(false);
  useAppKeys({ onPalette: () => setPalette((open) => !open), onKeys: () => setKeys(true) });
  return (
    <>
      <Shell onPalette={() => setPalette(true)} onKeys={() => setKeys(true)}>
        <ErrorBoundary resetKey={location}>
          <Suspense fallback={<Opening />}>
            <Switch>
              {ROUTES.map(({ path, view: View }) => (
                <Route key={path} path={path}>
                  <View />
                </Route>
              ))}
              <Route>
                <NotFound />
              </Route>
            </Switch>
          </Suspense>
          {/* A dialog: it stands here so that its failure, too, takes only the view down. */}
          {palette && (
            <Suspense fallback={null}>
              <Palette onClose={() => setPalette(false)} onKeys={() => setKeys(true)} />
            </Suspense>
          )}
        </ErrorBoundary>
      </Shell>
      <Desktop />
      <KeysDialog open={keys} onClose={() => setKeys(false)} />
    </>
  );
}

const Alone = ({ resetKey, children }: { readonly resetKey: string; readonly children: ReactNode }): ReactNode => (
  <ErrorBoundary resetKey={resetKey}>
    <Suspense fallback={<Waiting />}>{children}</Suspense>
  </ErrorBoundary>
);

/** A view is being loaded: in the place where it will stand. */
const Opening = (): ReactNode => (
  <div className="p-4 sm:p-6">
    <Skeleton lines={4} className="max-w-xl" />
  </div>
);

const Waiting = (): ReactNode => <div aria-busy="true" className="min-h-full" />;
