"""The CDK app: one stack an environment, one construct a stage."""
