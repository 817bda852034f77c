"""What every model derives from."""


class BaseModel:
    def __init__(self, config, dataset_meta_data):
        self.config = self.default_flax_model_config() if config is None else config
        self.dataset_meta_data = dataset_meta_data
        self.flax_model = self.build_flax_model()

    def get_metrics_fn(self, split=None):
        raise NotImplementedError

    def get_metrics_fn_jit(self, split=None):
        raise NotImplementedError

    def loss_function(self, logits, batch, model_params=None):
        raise NotImplementedError

    def build_flax_model(self):
        raise NotImplementedError

    def default_flax_model_config(self):
        raise NotImplementedError
