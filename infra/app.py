"""Entry of the CDK app: `cdk deploy` runs this."""

from __future__ import annotations

import sys

from aws_cdk import App, CliCredentialsStackSynthesizer, Validations
from cdk_nag import AwsSolutionsChecks

from infra.build import ROOT, build
from infra.settings import DeploySettings
from infra.stack import InterlockStack
from interlock.errors import InterlockError
from interlock.folder import model_folders, read_model


def synthesize(app: App) -> InterlockStack:
    """Add the environment's stack to the app.

    Raises:
        InvalidSettings, InvalidSpec, InvalidContract: names what is wrong and where.
    """
    given = dict(app.node.try_get_context("interlock") or {})
    given.update({name: value for name in DeploySettings.model_fields if (value := app.node.try_get_context(name))})
    settings = DeploySettings.read(given)
    folder = ROOT / settings.models
    models = tuple(read_model(path) for path in model_folders(folder))
    # The emulator refuses the bootstrap's publishing role, so a laptop publishes with the caller's own credentials.
    synthesizer = CliCredentialsStackSynthesizer() if settings.target == "local" else None
    artefacts = build(settings.target, folder, progress=lambda line: print(line, file=sys.stderr))
    return InterlockStack(app, settings, artefacts, models, synthesizer)


def main() -> None:
    """Synthesize, checked by cdk-nag."""
    app = App()
    try:
        synthesize(app)
    except InterlockError as error:
        sys.exit(f"{error.headline}: {error.message}\n{error.next_step}")
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    app.synth()


if __name__ == "__main__":
    main()
