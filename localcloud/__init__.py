"""The same cloud on a laptop: AWS's services emulated in one process, SageMaker beside it."""
