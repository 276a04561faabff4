"""The engine's types: a stack of blocks, examples, a store, a task, a plan and the one training loop."""
