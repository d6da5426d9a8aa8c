"""What every function finds in its environment; the metrics library reads it once, when it is imported."""

import os

os.environ.setdefault("POWERTOOLS_METRICS_NAMESPACE", "Interlock")
os.environ.setdefault("POWERTOOLS_SERVICE_NAME", "test")
os.environ.setdefault("POWERTOOLS_TRACE_DISABLED", "true")
