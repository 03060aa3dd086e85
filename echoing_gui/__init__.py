"""The desktop program: opens an ECG, draws it to scale, shows what an echo would probably say."""
