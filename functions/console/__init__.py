"""Console: pages and metrics for people, behind the API that predictions are asked of."""
