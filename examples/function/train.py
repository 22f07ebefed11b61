"""Train a small network on scikit-learn's digits: a plain torchvision script that knows of no search."""

import argparse

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms


class Digits(Dataset):
    """300 of the 8x8 grayscale digits to train on, or the next 500 to evaluate on."""

    def __init__(self, part, transform):
        rows = slice(0, 300) if part == "train" else slice(300, 800)
        source = load_digits()
        self.images = torch.from_numpy(source.images[rows] * 15).to(torch.uint8)[:, None]
        self.labels = source.target[rows]
        self.transform = transform

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        return self.transform(self.images[i]), int(self.labels[i])


def train(epochs, lr, seed=0, augmentation=None, report=lambda epoch, accuracy: None):
    torch.manual_seed(seed)
    augmentation = augmentation or transforms.RandomCrop(8, padding=1)
    to_float = transforms.ConvertImageDtype(torch.float32)
    training = DataLoader(Digits("train", transforms.Compose([augmentation, to_float])), batch_size=20, shuffle=True)
    validation = DataLoader(Digits("val", to_float), batch_size=200)
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(128, 10),
    )  # fmt: skip
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    for epoch in range(epochs):
        for images, labels in training:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images), labels).backward()
            optimizer.step()
        with torch.inference_mode():
            right = sum((model(images).argmax(1) == labels).sum().item() for images, labels in validation)
        accuracy = right / len(validation.dataset)
        print(f"epoch {epoch}: {accuracy:.3f}")
        report(epoch, accuracy)
    return accuracy


def objective(trial):
    return train(8, trial.params.get("lr", 0.05), trial.seed, trial.transform(), trial.report)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--lr", type=float, default=0.05)
    options = parser.parse_args()
    train(options.epochs, options.lr)
