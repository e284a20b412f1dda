"""The models behind the tabs: plain values in, plain values out; heavy imports live inside the loaders."""
