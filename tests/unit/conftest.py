"""What every function finds in its environment, and that a busy machine is no reason to fail."""

import os

from hypothesis import HealthCheck, settings

# The metrics library reads them once, when it is imported.
os.environ.setdefault("POWERTOOLS_METRICS_NAMESPACE", "Interlock")
os.environ.setdefault("POWERTOOLS_SERVICE_NAME", "test")
os.environ.setdefault("POWERTOOLS_TRACE_DISABLED", "true")

# Wall-clock limits of an example or of its making say more about the machine than about the code.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")
